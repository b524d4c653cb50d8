// Loads the page again when a file of the templates is saved.
(async () => {
  const seen = document.documentElement.dataset.seen;
  for (;;) {
    try {
      const now = await (await fetch("/changed?since=" + seen)).text();
      if (now !== seen) return location.reload();
    } catch {
      await new Promise((again) => setTimeout(again, 1000));
    }
  }
})();
