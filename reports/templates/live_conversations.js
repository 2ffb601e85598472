// What is known of the conversations of a batch, event by event, and how one is drawn. It sets text, never markup.
const liveConversations = (() => {
  const words = { ...JSON.parse(document.getElementById("words").textContent), running: "running", waiting: "waiting" };

  const make = (tag, name, text) => {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  const badge = (result) => make("span", `badge v-${result}`, words[result] || result);
  const shown = (value) => (typeof value === "string" ? value : JSON.stringify(value));

  class Conversation {
    constructor(told) {
      this.name = told.conversation;
      this.scenario = told.scenario;
      this.mark = told.result || told.state || "waiting"; // waiting, running, or what it results in
      this.unplayed = told.state === "unplayed";
      this.reason = told.reason || "";
      this.about = "";
      this.last = "";
      this.steps = []; // all events but tokens
      this.typing = "";
      this.heard = "";
    }

    hear(event) {
      const data = event.data || {};
      const text = event.text || "";
      if (event.kind === "token") {
        this.typing += text;
        this.last = this.typing;
        return;
      }
      this.typing = "";
      if (event.kind === "started") {
        const times = data.repeat > 1 ? `, time ${data.repeat}` : "";
        this.about = `${data.assistant}, by ${data.entry_point}${times}`;
        this.mark = "running";
      } else if (event.kind === "completed") {
        this.mark = data.result;
        this.reason = text;
      } else if (text && event.kind !== "assertion_result") {
        this.last = text;
      }
      this.heard += ` ${text}`;
      this.steps.push(event);
    }

    // Its batch has ended before it did.
    leave() {
      this.mark = "not-judged";
      this.unplayed = true;
      this.reason = "It was not played to its end.";
    }

    get ended() {
      return this.mark !== "waiting" && this.mark !== "running";
    }

    get line() {
      return this.ended ? this.reason : this.last;
    }

    has(text) {
      return `${this.scenario} ${this.about} ${this.heard} ${this.reason}`.toLowerCase().includes(text);
    }
  }

  // What was said in a conversation, turn by turn; `update` adds what is new.
  class Talk {
    constructor(conversation) {
      this.conversation = conversation;
      this.element = make("div", "talk");
      this.next = 0;
      this.typing = make("p", "says agent typing");
    }

    update() {
      const { steps, typing } = this.conversation;
      this.typing.remove();
      for (; this.next < steps.length; this.next++) this.add(steps[this.next]);
      if (typing) {
        this.typing.replaceChildren(make("b", "", "agent"), ` ${typing}`);
        this.element.append(this.typing);
      }
    }

    add(event) {
      const data = event.data || {};
      const text = event.text || "";
      switch (event.kind) {
        case "user_input":
          return this.say("user", "user", text, data.thread === "main" ? "" : `on thread ${data.thread}`);
        case "tool_call":
          return this.say("call", "calls", `${data.name}(${shown(data.arguments)})`);
        case "interrupt":
          return this.say("asks", "asks", shown(data.value));
        case "agent_response":
          return this.say("agent", "agent", text || "(nothing)");
        case "assertion_result":
          return this.check(data, event.turn || 0);
        case "turn":
          return this.measure(data);
        case "error":
          return this.element.append(make("p", "trouble", text));
      }
    }

    say(who, word, text, hint) {
      const said = make("p", `says ${who}`);
      said.append(make("b", "", word), ` ${text}`);
      if (hint) said.append(make("small", "", ` ${hint}`));
      this.element.append(said);
    }

    check(data, turn) {
      let list = this.element.lastElementChild;
      if (!list || list.dataset.turn !== String(turn)) {
        if (turn === 0) this.element.append(make("p", "hint", "The whole conversation"));
        list = make("ul", "checks");
        list.dataset.turn = turn;
        this.element.append(list);
      }
      const line = make("li");
      line.append(badge(data.result), ` ${data.asserts}`);
      if (data.reason && data.result !== "pass") line.append(make("span", "seen", data.reason));
      list.append(line);
    }

    measure(data) {
      const spoken = this.element.querySelectorAll(".says.agent");
      const last = spoken[spoken.length - 1];
      const took = typeof data.latency_s === "number" ? `, ${data.latency_s.toFixed(2)} s` : "";
      if (last) last.append(make("small", "", ` ${data.status || "no result"}${took}`));
    }
  }

  return { Conversation, Talk, badge, make, words };
})();
