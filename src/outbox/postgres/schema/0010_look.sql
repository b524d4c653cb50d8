-- What is asked of a source: looks at it that somebody wants, and until when it is left alone.
CREATE TABLE look (
    practice    integer NOT NULL,
    source      text COLLATE "C" NOT NULL,
    wanted      bigint NOT NULL DEFAULT 0,
    had         bigint NOT NULL DEFAULT 0 CHECK (had <= wanted), -- of those; less, and it is to be looked at
    quiet_until bigint,                                 -- it asked to be left alone until then
    refusals    bigint NOT NULL DEFAULT 0 CHECK (refusals >= 0), -- how often in a row it was too busy to answer
    PRIMARY KEY (practice, source)
);
