//! Classes of words, for the patterns of [`super::wishes`].

/// Words that stand in several patterns. Without apostrophes and accents, as all words here.
pub(super) const CLASSES: [(&str, &str); 20] = [
    (
        "polite",
        "please pls plz pleas kindly thanks thank you u thx ty tx hi hello hey dear sir maam sorry so much very ok okay now already immediately \
         asap just right away and again really bye cheers regards por favor porfavor gracias muchas hola ya ahora mismo s v p svp stp sil vous \
         te plait merci bonjour salut bonsoir beaucoup maintenant lo siento desole senora senor oh bitte danke vielen dank obrigado obrigada hallo ola guten tag",
    ),
    (
        "lead",
        "please pls plz kindly just can could would will you u ya want wanna need like to and so but then again really now hey hi hello ok okay \
         people guys must should let me i id im we do how try trying wish hereby seriously omg wtf once more for all the last time \
         final formally officially yes no sorry dear also je ne vous quiero yo ask asking asked told tell said saying",
    ),
    (
        "msg",
        "text texts texting txt txts txting message messages messaging msg msgs sms reminders notifications notification alerts alert contacting \
         bothering harassing harassment spamming spam writing emailing reminding calling pinging pestering bugging annoying disturbing communications contact",
    ),
    ("list", "list lists database system contacts texts messages sms reminders notifications alerts mailing rolls roster"),
    (
        "fill",
        "sending send getting receiving with the these those this that all your ur my any of me us to more stupid damn fucking so many such further \
         future from you it out giving doing automated unwanted annoying every single text sms and w",
    ),
    (
        "after",
        "me us please pls plz thanks thank you thx now already immediately asap anymore any more again ever forever right away it this these \
         those them all everything number phone here to from on your list of ok okay sir bye good permanently texts text messages message sms msgs \
         reminders notifications or via by cell mobile line with reminder system database records",
    ),
    (
        "stop",
        "stop stopp stpo sotp stopall unsubscribe unsubcribe unsuscribe unsub optout revoke cease desist discontinue quit stops remove",
    ),
    ("dont", "dont donot"),
    ("guess", "i we think believe guess im am afraid that but no just fyi looks seems like probably maybe sorry oh um"),
    (
        "texts",
        "text texts texting messages message messaging msgs sms reminders notifications alerts list lists communications everything contacted texted",
    ),
    ("want", "want wish wanna need like care consent agree"),
    ("gone", "remove delete take get drop erase strike pull"),
    (
        "yes",
        "y yes yep yeah yup yea yas ya yess ok okay okey k kk sure c confirm confirmed confirming confirms absolutely definitely affirmative thumbsup \
         liked loved ja jawohl sim si sip claro vale confirmo confirmado confirmada oui ouais daccord confirme o correct perfect perfecto parfait",
    ),
    (
        "coming",
        "please pls thanks thank you u see then there tomorrow tmrw tmr tmw tmrow 2morrow tonite 2nite 2day today tonight soon will ill be i im am we can make it my our the appointment appt \
         session visit meeting call video good great perfect sounds works fine that thats is for me us ready looking forward to attend attending time \
         dr doctor and so much have a nice day this very hi hello all set maam sir of course going joining join well coming excited gracias muchas ahi \
         estare alli nos vemos manana hoy puedo asistir asistire voy ire ir la cita mi de acuerdo bien perfecto por favor serai je jy seance merci \
         que beaucoup sur demain rendez vous mon pour ce ca va plait sil svp stp sera y le",
    ),
    ("no", "n no nope nah non negative nop nein nao"),
    (
        "refusing",
        "danke leider obrigado obrigada thanks thank you sorry please i im gracias merci sir maam no cant cannot wont pas desole lo siento so much non",
    ),
    (
        "absent",
        "today tomorrow tmrw tmr tmw tmrow 2morrow tonite 2nite 2day tonight this time sorry to it the my our session appointment appt visit meeting call please thanks thank you then \
         that day there i im a la mi cita manana hoy hoy lo siento gracias seance rendez vous mon aujourdhui demain desole merci present presente",
    ),
    (
        "who",
        "i im we he she sorry no so very unfortunately afraid hi hello hey dr doctor today je on nous desole lo siento hola bonjour am are is ne he me",
    ),
    (
        "rest",
        "que am mensajes textos en paz moi nous me veux voudrais souhaite des de messages sms un sus los mas plus su tu le les vos votre lista liste a \
         este numero cette",
    ),
    (
        "again",
        "texting sending me texts text messages again please pls the my reminders getting receiving back up to now thanks for all your",
    ),
];
