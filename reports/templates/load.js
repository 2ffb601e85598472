// Recordings of single starts, drawn when they are first unfolded, and links that lead to a promise.
"use strict";
(() => {
  const { foldedExchange } = exchangeView; // of exchanges.js
  const recordings = JSON.parse(document.getElementById("data").textContent);

  for (const place of document.querySelectorAll(".exchanges[data-trace]")) {
    const start = place.closest("details.start");
    let drawn = false;
    start.addEventListener("toggle", () => {
      const places = recordings.traces[place.dataset.trace];
      if (!start.open || drawn || !places) return;
      drawn = true;
      place.replaceChildren(...places.map((number) => foldedExchange(recordings.exchanges[number])));
    });
  }

  function readAddress() {
    const found = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!found || !found.matches("details.requirement")) return;
    found.open = true;
    found.querySelector("summary").focus({ preventScroll: true });
    found.scrollIntoView({ block: "start" });
  }

  let openedForPrint = [];
  addEventListener("beforeprint", () => {
    openedForPrint = [...document.querySelectorAll("details.requirement:not([open])")];
    for (const each of openedForPrint) each.open = true;
  });
  addEventListener("afterprint", () => {
    for (const each of openedForPrint) each.open = false;
  });

  addEventListener("hashchange", readAddress);
  readAddress();
})();
