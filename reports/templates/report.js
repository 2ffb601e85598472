// Filters, links between parts of the page, and exchanges drawn when they are first unfolded.
// Whatever came from a target is set as text; nothing here writes HTML.
"use strict";
(() => {
  const proof = JSON.parse(document.getElementById("proof").textContent);
  const byId = (id) => document.getElementById(id);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const requirements = all("details.requirement");
  const chips = all(".chip");
  const search = byId("search");
  const area = byId("area");
  const haystacks = new Map(
    requirements.map((item) => {
      const words = all("summary, .source, .waiver, .reason, .case h4", item).map((part) => part.textContent);
      return [item, words.join(" ").toLowerCase()];
    }),
  );

  // --- small builders -------------------------------------------------------------------------------

  function make(tag, options = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(options)) {
      if (name === "text") node.textContent = value;
      else node.setAttribute(name, value);
    }
    node.append(...children.filter((child) => child !== null));
    return node;
  }

  const shortIds = (text) => text.replace(/([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi, "$1…");

  function milliseconds(value) {
    if (value === null || value === undefined) return "none";
    return value < 1000 ? `${value < 10 ? value : Math.round(value)} ms` : `${(value / 1000).toFixed(2)} s`;
  }

  const TOKENS = /"(?:[^"\\]|\\[^])*"?|[[\]{},:]|[^\s[\]{},:"]+/g;
  const TOKEN = /^(?:"[^]*"|[[\]{},:]|-?\d[\d.eE+-]*|true|false|null)$/;

  // Indents JSON token by token: numbers past 2^53, repeated keys and cut texts stay as they were sent. What is
  // no JSON is shown as it is; the last token of a cut text may be anything.
  function pretty({ text, of }) {
    if (!/^\s*[[{]/.test(text)) return text;
    const tokens = text.match(TOKENS) || [];
    if (!(of ? tokens.slice(0, -1) : tokens).every((token) => TOKEN.test(token))) return text;
    let depth = 0;
    let out = "";
    // Nesting past 24 levels keeps its indent: a hostile body is deep, a page is not wide.
    const newline = () => "\n" + "  ".repeat(Math.min(Math.max(depth, 0), 24));
    tokens.forEach((token, index) => {
      const closes = token === "}" || token === "]";
      const empty = closes && (tokens[index - 1] === "{" || tokens[index - 1] === "[");
      if (closes) {
        depth -= 1;
        out += empty ? token : newline() + token;
      } else if (token === "{" || token === "[") {
        depth += 1;
        const next = tokens[index + 1];
        out += token + (next === "}" || next === "]" ? "" : newline());
      } else if (token === ",") out += token + newline();
      else out += token === ":" ? ": " : token;
    });
    return out;
  }

  function cutNote(cut) {
    if (!cut.of) return null;
    const text = `cut after ${cut.text.length} of ${cut.of} characters; the evidence folder has all of it`;
    return make("p", { class: "hint", text });
  }

  // --- exchanges ------------------------------------------------------------------------------------

  function block(title, cut) {
    if (!cut) return null;
    const content = cut.text === "" ? "(empty)" : pretty(cut);
    const code = make("pre", { tabindex: "0" }, make("code", { text: content }));
    return make("section", {}, make("h5", { text: title }), code, cutNote(cut));
  }

  function headers(title, pairs) {
    if (!pairs || !pairs.length) return null;
    const rows = pairs.map(([name, value]) =>
      make("div", {}, make("dt", { text: name }), make("dd", { text: value })),
    );
    return make("details", { class: "headers" }, make("summary", { text: title }), make("dl", {}, ...rows));
  }

  function eventRow(event) {
    const data = make("td", { class: "data" }, make("code", { text: event.data.text }), cutNote(event.data));
    return make(
      "tr",
      {},
      make("td", { class: "number", text: event.ms.toFixed(1) }),
      make("td", { text: event.name }),
      make("td", { text: event.id === undefined || event.id === null ? "" : event.id }),
      data,
    );
  }

  function events(exchange) {
    const first = exchange.events || [];
    if (!first.length) return null;
    const count = first.length + (exchange.last_events || []).length + (exchange.events_left_out || 0);
    const rows = first.map(eventRow);
    if (exchange.events_left_out) {
      const text = `${exchange.events_left_out} events left out; the evidence folder has them`;
      rows.push(make("tr", { class: "gap" }, make("td", { colspan: "4", text })));
    }
    rows.push(...(exchange.last_events || []).map(eventRow));
    const heads = ["ms", "event", "id", "data"].map((text) => make("th", { scope: "col", text }));
    const comments = exchange.comments ? `, and comment lines: ${exchange.comments}` : "";
    const table = make(
      "table",
      { class: "events" },
      make("thead", {}, make("tr", {}, ...heads)),
      make("tbody", {}, ...rows),
    );
    return make(
      "section",
      {},
      make("h5", { text: `Events (${count}${comments})` }),
      make("div", { class: "scroll", tabindex: "0" }, table),
    );
  }

  function timings(exchange) {
    const known = [
      ["sent", exchange.sent_ms, "into the session"],
      ["headers", exchange.headers_ms, "after"],
      ["first byte", exchange.first_byte_ms, "after"],
      ["end", exchange.ms, "after"],
    ].filter(([, value]) => value !== undefined && value !== null);
    const items = known.map(([name, value, relation]) =>
      make("div", {}, make("dt", { text: name }), make("dd", { text: `${milliseconds(value)} ${relation}` })),
    );
    return make("dl", { class: "timings" }, ...items);
  }

  function drawExchange(exchange, into) {
    if (exchange.brief) {
      const text = exchange.method
        ? "Left out to keep this page small; the evidence folder has it."
        : "Not among the recorded traces.";
      into.append(make("p", { class: "hint", text }));
      return;
    }
    into.append(make("p", { class: "path", text: `${exchange.method} ${exchange.path}` }), timings(exchange));
    for (const text of exchange.remarks || []) into.append(make("p", { class: "remark", text }));
    const drawn = [
      headers("Request headers", exchange.request_headers),
      block("Request body", exchange.request),
      headers("Response headers", exchange.response_headers),
      block("Response body", exchange.response),
      events(exchange),
    ];
    into.append(...drawn.filter((part) => part !== null));
  }

  function foldedExchange(exchange) {
    const [scenario, number] = exchange.key.split(/#(?=\d+$)/);
    const status = exchange.method ? exchange.status ?? "no response" : "";
    const statusClass = exchange.status >= 200 && exchange.status < 400 ? "status" : "status odd";
    const summary = make(
      "summary",
      { title: exchange.key },
      make("span", { class: "scenario", text: scenario }),
      make("span", { class: "number", text: `#${number}` }),
      make("span", { class: "path", text: shortIds(`${exchange.method || ""} ${exchange.path || ""}`) }),
      make("span", { class: statusClass, text: String(status) }),
      make("span", { class: "took", text: exchange.method ? milliseconds(exchange.ms || 0) : "" }),
    );
    const body = make("div", { class: "exchange-body" });
    const folded = make("details", { class: "exchange" }, summary, body);
    folded.addEventListener("toggle", () => {
      if (folded.open && !body.hasChildNodes()) drawExchange(exchange, body);
    });
    return folded;
  }

  const FIRST_SHOWN = 30;

  function drawCase(place, [numbers, leftOut]) {
    const heading = make("h5", { text: "Judged on" });
    const note = leftOut ? make("p", { class: "hint", text: `and ${leftOut} more in the evidence folder` }) : null;
    const draw = (part) => part.map((number) => foldedExchange(proof.exchanges[number]));
    place.replaceChildren(heading, ...draw(numbers.slice(0, FIRST_SHOWN)));
    if (numbers.length > FIRST_SHOWN) {
      const more = make("button", {
        type: "button",
        class: "plain",
        text: `Show ${numbers.length - FIRST_SHOWN} more`,
      });
      more.addEventListener("click", () => more.replaceWith(...draw(numbers.slice(FIRST_SHOWN))));
      place.append(more);
    }
    if (note) place.append(note);
  }

  for (const item of requirements) {
    let drawn = false;
    item.addEventListener("toggle", () => {
      if (!item.open || drawn) return;
      drawn = true;
      for (const place of all(".exchanges", item)) {
        drawCase(place, proof.cases[item.id][Number(place.dataset.case)]);
      }
    });
  }

  // --- filters, mirrored in the address ---------------------------------------------------------------

  const pressed = (name) =>
    chips
      .filter((chip) => chip.dataset.filter === name && chip.getAttribute("aria-pressed") === "true")
      .map((chip) => chip.dataset.value);

  function filtersInAddress() {
    const chosen = { verdict: pressed("verdict"), level: pressed("level"), area: [area.value], q: [search.value.trim()] };
    return Object.entries(chosen)
      .map(([name, values]) => [name, values.filter(Boolean).map(encodeURIComponent).join(",")])
      .filter(([, value]) => value)
      .map((pair) => pair.join("="))
      .join("&");
  }

  function apply() {
    const verdicts = pressed("verdict");
    const levels = pressed("level");
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const section of all("section.area")) {
      let inArea = 0;
      for (const item of all("details.requirement", section)) {
        const fits =
          (!verdicts.length || verdicts.includes(item.dataset.verdict)) &&
          (!levels.length || levels.includes(item.dataset.level)) &&
          (!area.value || area.value === section.dataset.area) &&
          words.every((word) => haystacks.get(item).includes(word));
        item.hidden = !fits;
        inArea += fits;
      }
      section.hidden = !inArea;
      count += inArea;
    }
    byId("shown").textContent = `${count} of ${requirements.length} shown`;
    byId("nothing").hidden = count > 0 || !requirements.length;
  }

  function remember() {
    const filters = filtersInAddress();
    // An empty fragment would scroll to the top; the bare address does not.
    history.replaceState(null, "", filters ? `#${filters}` : location.pathname + location.search);
  }

  function change() {
    apply();
    remember();
  }

  function clear() {
    for (const chip of chips) chip.setAttribute("aria-pressed", "false");
    area.value = "";
    search.value = "";
  }

  function decoded(text) {
    try {
      return decodeURIComponent(text);
    } catch {
      return text; // an address typed by hand: take it as it is
    }
  }

  function show(id) {
    const found = byId(id);
    if (!found || !found.matches("details.requirement, section.area, main *")) return;
    if (found.hidden) {
      clear();
      apply();
    }
    if (found.matches("details.requirement")) {
      found.open = true;
      found.querySelector("summary").focus({ preventScroll: true });
    }
    found.scrollIntoView({ block: "start" });
  }

  function readAddress() {
    const fragment = location.hash.slice(1);
    if (fragment && !fragment.includes("=")) {
      show(decoded(fragment));
      return;
    }
    clear();
    for (const pair of fragment.split("&")) {
      const [name, value = ""] = pair.split("=");
      const values = value.split(",").map(decoded);
      if (name === "q") search.value = decoded(value);
      else if (name === "area") area.value = values[0];
      else {
        for (const chip of chips) {
          if (chip.dataset.filter === name && values.includes(chip.dataset.value)) {
            chip.setAttribute("aria-pressed", "true");
          }
        }
      }
    }
    apply();
  }

  for (const chip of chips) {
    chip.addEventListener("click", () => {
      chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
      change();
    });
  }
  search.addEventListener("input", change);
  area.addEventListener("change", change);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("reset").addEventListener("click", (event) => {
    event.preventDefault();
    clear();
    change();
  });
  addEventListener("hashchange", readAddress);
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  });

  // --- copying and printing ---------------------------------------------------------------------------

  async function copy(button) {
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code); // no access to the clipboard: one keystroke is left
      button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = "Copy"), 1500);
  }

  document.addEventListener("click", (event) => {
    if (event.target.matches("button.copy")) copy(event.target);
  });

  let openedForPrint = [];
  addEventListener("beforeprint", () => {
    const telling = ["harness-error", "fail", "not-testable", "warn", "waived"];
    openedForPrint = requirements.filter((item) => !item.open && telling.includes(item.dataset.verdict));
    for (const item of openedForPrint) item.open = true;
  });
  addEventListener("afterprint", () => {
    for (const item of openedForPrint) item.open = false;
  });

  // What a link jumps to must not end up below the filters, which stay at the top on a wide page.
  new ResizeObserver(() => {
    const filters = byId("filters");
    const covered = getComputedStyle(filters).position === "sticky" ? filters.offsetHeight : 0;
    document.documentElement.style.scrollPaddingTop = `${covered + 12}px`;
  }).observe(byId("filters"));

  byId("filters").hidden = false;
  apply();
  readAddress();
})();
