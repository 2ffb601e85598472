// Starts batches, follows one by its events, and shows it. What is lost with a connection is asked for again.
(() => {
  const { Conversation, Talk, badge, make, words } = liveConversations;
  const $ = (id) => document.getElementById(id);
  const MOST_CARDS = 6;
  const CHIPS = ["all", "running", "fail", "flaky", "judge-error", "not-judged", "pass", "waiting"];
  let offered = [];
  let batch = null; // what the server says of the one that is shown
  let conversations = new Map();
  let source = null;
  let seen = 0;
  let state = "all";
  const changed = new Set();
  const rows = new Map();
  let cards = [];

  // the server

  async function ask(path, body) {
    const options = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    let answer;
    try {
      answer = await fetch(path, options);
    } catch {
      throw new Error("The server does not answer; it was ended, perhaps.");
    }
    const told = await answer.json();
    if (answer.status === 401) throw new Error("The server has another token by now: open the address that it has printed.");
    if (!answer.ok) throw Object.assign(new Error(told.detail), { status: answer.status });
    return told;
  }

  // What went wrong is told until the same work succeeds.
  let troubled = null;
  const trying = (work) => async (...given) => {
    try {
      await work(...given);
      if (troubled === work) tell("");
    } catch (error) {
      troubled = work;
      tell(error.message);
    }
  };

  function tell(text) {
    $("trouble").hidden = !text;
    $("trouble").textContent = text;
  }

  // what is to be played

  function wanted() {
    const text = $("names").value.trim().toLowerCase();
    const tag = $("tag").value;
    return offered.filter((each) => each.name.toLowerCase().includes(text) && (!tag || each.tags.includes(tag)));
  }

  function count() {
    const many = wanted().length;
    $("play").disabled = many === 0;
    $("play").textContent = many === 1 ? "Play 1 scenario" : `Play ${many} scenarios`;
  }

  const start = trying(async () => {
    const body = {};
    if ($("names").value.trim()) body.scenarios = [...new Set(wanted().map((each) => each.name))];
    if ($("tag").value) body.tags = [$("tag").value];
    if ($("other").value.trim()) body.target = $("other").value.trim();
    if ($("repeat").value) body.repeat = Number($("repeat").value);
    $("play").disabled = true;
    try {
      const begun = await ask("/batches", body);
      location.hash = begun.id;
    } finally {
      count();
    }
  });

  const offer = trying(async () => {
    offered = (await ask("/scenarios")).scenarios;
    const tags = [...new Set(offered.flatMap((each) => each.tags))].sort();
    $("tag").append(...tags.map((each) => new Option(each, each)));
    count();
  });

  // which batch is shown

  const many = (number) => (number === 1 ? "1 conversation" : `${number} conversations`);
  const STATES = { queued: "waits", running: "running", cancelled: "cancelled", broken: "broken" };
  const titled = (each) => {
    const end = each.state === "done" ? (each.accepted ? "accepted" : "not accepted") : STATES[each.state];
    return `${new Date(each.created_at).toLocaleString()}: ${many(each.of)} on ${each.target}, ${end}`;
  };

  async function list() {
    const { batches } = await ask("/batches");
    $("batch").hidden = batches.length === 0;
    const had = [...$("batches").options].map((each) => `${each.value} ${each.text}`).join();
    const options = batches.map((each) => new Option(titled(each), each.id));
    if (had !== options.map((each) => `${each.value} ${each.text}`).join()) $("batches").replaceChildren(...options);
    const named = batches.some((each) => each.id === location.hash.slice(1)) && location.hash.slice(1);
    const chosen = named || (batches.find((each) => each.state === "running") || batches[0] || {}).id;
    if (chosen) $("batches").value = chosen;
    if (chosen && (!batch || batch.id !== chosen)) await show(chosen);
  }

  async function show(id) {
    const told = await ask(`/batches/${encodeURIComponent(id)}`);
    if (source) source.close();
    batch = told;
    rows.clear();
    cards = [];
    $("wall").replaceChildren();
    $("conversations").replaceChildren();
    resume(told);
    for (const each of conversations.values()) addRow(each);
    $("all").hidden = false;
    headline();
    filter();
  }

  // Its conversations as they are, and its events from the first that is kept on.
  function resume(told) {
    seen = told.events.first - 1;
    const begin = seen === 0 ? ({ conversation, scenario }) => ({ conversation, scenario }) : (each) => each;
    conversations = new Map(told.conversations.map((each) => [each.conversation, new Conversation(begin(each))]));
    listen();
  }

  function listen() {
    const own = new EventSource(`/batches/${encodeURIComponent(batch.id)}/events?after=${seen}`);
    source = own;
    own.onmessage = (message) => {
      if (own !== source) return;
      seen = Number(message.lastEventId);
      hear(JSON.parse(message.data));
    };
    own.onerror = trying(async () => {
      if (own !== source) return;
      try {
        const told = await ask(`/batches/${encodeURIComponent(batch.id)}`);
        if (own !== source) return;
        batch = told;
      } catch (error) {
        if (error.status !== 404) throw error; // the server comes back, perhaps
        end({ state: "cancelled" }); // another one has come back, which has not heard of it
      }
      headline();
      if (batch.ended_at && batch.events.last <= seen) {
        own.close();
        leave();
        await list(); // which has a word for how it ended
      } else if (own.readyState === EventSource.CLOSED) {
        if (batch.events.first > seen + 1) await show(batch.id);
        else setTimeout(() => own === source && listen(), 1000);
      }
    });
  }

  function end(outcome) {
    batch = { ...batch, ...outcome, ended_at: new Date().toISOString(), events: { first: 1, last: seen } };
  }

  function leave() {
    for (const each of conversations.values()) {
      if (each.ended) continue;
      each.leave();
      changed.add(each);
    }
    later();
  }

  function hear(event) {
    const one = conversations.get(event.conversation);
    if (one) {
      one.hear(event);
      if (event.kind === "started") takeCard(one);
      changed.add(one);
    } else if (event.kind === "completed") {
      const { state, accepted } = event.data;
      end({ state, accepted: Boolean(accepted), stopped: event.text || "" });
      leave();
    }
    later();
  }

  // what is seen of it

  let waiting = false;
  function later() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      draw();
    });
  }

  function draw() {
    for (const one of changed) drawRow(one);
    for (const card of cards) if (changed.has(card.talk.conversation)) drawCard(card);
    changed.clear();
    headline();
    filter();
  }

  function headline() {
    const all = [...conversations.values()];
    const ended = all.filter((each) => each.ended);
    const done = ended.filter((each) => !each.unplayed).length;
    const over = Boolean(batch.ended_at);
    const failed = ended.some((each) => each.mark !== "pass");
    const marks = CHIPS.map((mark) => [mark, ended.filter((each) => each.mark === mark).length]).filter(([, number]) => number);
    const verdict = { done: batch.accepted ? "Accepted" : "Not accepted", cancelled: "Cancelled", broken: "Not played" }[batch.state];
    $("headline").textContent = over ? `${verdict}: ${many(all.length)}` : `${batch.state === "queued" && !done ? "Waiting to play" : "Playing"} ${many(all.length)}`;
    document.title = over ? `${verdict}: ${many(all.length)}` : `${done} of ${all.length} played`;
    document.body.className = (over && !batch.accepted) || failed ? "bad" : "good";
    $("seal").hidden = !over;
    $("seal").textContent = verdict || "";
    $("far").hidden = false;
    $("far").textContent = [`${done} of ${all.length} played`, ...marks.map(([mark, number]) => `${number} ${words[mark]}`)].join(", ");
    $("target").textContent = batch.target;
    $("started").textContent = batch.started_at ? new Date(batch.started_at).toLocaleString() : "not yet";
    $("folder").textContent = batch.folder;
    $("notice").hidden = !batch.stopped;
    $("notice").textContent = batch.stopped || "";
    $("cancel").hidden = over;
    $("report").hidden = !batch.reported;
    $("report").href = `/batches/${encodeURIComponent(batch.id)}/report.html`;
    $("progress").hidden = over;
    $("progress").max = all.length || 1;
    $("progress").value = done;
    $("now").hidden = over || cards.length === 0;
  }

  function addRow(one) {
    const element = make("details", "fold conversation-of");
    const summary = make("summary");
    element.append(summary);
    const row = { element, summary, talk: null };
    rows.set(one, row);
    element.addEventListener("toggle", () => drawRow(one));
    $("conversations").append(element);
    drawRow(one);
  }

  function drawRow(one) {
    const row = rows.get(one);
    const parts = [badge(one.mark), " ", make("b", "id", one.scenario), " ", make("span", "level", one.about)];
    if (one.line) parts.push(make("span", "seen", one.line));
    row.summary.replaceChildren(...parts);
    if (!row.element.open) return;
    if (!row.talk) {
      row.talk = new Talk(one);
      row.element.append(row.talk.element);
    }
    row.talk.update();
  }

  // A card shows a conversation until another one needs it.
  function takeCard(one) {
    let card = cards.length < MOST_CARDS ? null : cards.find((each) => each.talk.conversation.ended);
    if (!card && cards.length === MOST_CARDS) return;
    if (!card) {
      card = { element: make("article"), title: make("h3"), talk: null };
      card.element.tabIndex = 0;
      cards.push(card);
      $("wall").append(card.element);
    }
    card.talk = new Talk(one);
    card.element.replaceChildren(card.title, card.talk.element);
    card.element.setAttribute("aria-label", one.scenario);
  }

  function drawCard(card) {
    const one = card.talk.conversation;
    const below = card.element.scrollHeight - card.element.scrollTop - card.element.clientHeight < 40;
    card.element.className = `card edge-${one.mark}${one.ended ? " ended" : ""}`;
    card.title.replaceChildren(badge(one.mark), ` ${one.scenario} `, make("span", "level", one.about));
    card.talk.update();
    if (below) card.element.scrollTop = card.element.scrollHeight;
  }

  // the filter

  function filter() {
    const text = $("search").value.trim().toLowerCase();
    const counts = {};
    let shown = 0;
    for (const [one, row] of rows) {
      const found = !text || one.has(text);
      if (found) for (const each of ["all", one.mark]) counts[each] = (counts[each] || 0) + 1;
      row.element.hidden = !found || (state !== "all" && state !== one.mark);
      if (!row.element.hidden) shown++;
    }
    $("shown").textContent = `${shown} of ${rows.size}`;
    $("nothing").hidden = shown > 0;
    for (const chip of $("chips").children) {
      const many = counts[chip.dataset.state] || 0;
      chip.hidden = many === 0 && chip.dataset.state !== state && chip.dataset.state !== "all";
      chip.querySelector("b").textContent = many;
      chip.setAttribute("aria-pressed", chip.dataset.state === state);
    }
  }

  for (const each of CHIPS) {
    const chip = make("button", "chip");
    chip.type = "button";
    chip.dataset.state = each;
    if (each !== "all") chip.append(make("span", `dot v-${each}`));
    chip.append(`${words[each] || each} `, make("b"));
    chip.addEventListener("click", () => {
      state = each;
      filter();
    });
    $("chips").append(chip);
  }

  $("start").addEventListener("submit", (event) => {
    event.preventDefault();
    start();
  });
  for (const each of ["names", "tag"]) $(each).addEventListener("input", count);
  $("search").addEventListener("input", filter);
  $("reset").addEventListener("click", () => {
    state = "all";
    $("search").value = "";
    filter();
  });
  $("cancel").addEventListener("click", trying(() => ask(`/batches/${encodeURIComponent(batch.id)}/cancel`, {})));
  $("batches").addEventListener("change", () => (location.hash = $("batches").value));
  addEventListener("hashchange", trying(list));
  searchablePage.keepClearOf($("filters"));
  offer();
  trying(list)();
  setInterval(() => document.visibilityState === "visible" && trying(list)(), 3000);
})();
