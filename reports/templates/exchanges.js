// Exchanges as a page draws them when they are first unfolded: bodies, events, headers, timings.
// Whatever came from a target is set as text; nothing here writes HTML.
"use strict";
const exchangeView = (() => {
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

  return { make, foldedExchange };
})();
