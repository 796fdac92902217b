// One socket for the whole page: watches that survive a lost connection, and rest while the tab is hidden.
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 8000;
const SILENT_MS = 15000; // The server pings every five seconds.
const HIDDEN_MS = 3000;

export class Connection extends EventTarget {
  #url; #socket = null; #watches = new Set(); #byId = new Map(); #nextId = 1;
  #failures = 0; #timer = 0; #silence = 0; #resting = false; #hello = null;

  constructor(url) {
    super();
    this.#url = url;
    let hiding = 0;
    document.addEventListener("visibilitychange", () => {
      clearTimeout(hiding);
      if (document.hidden) hiding = setTimeout(() => this.#rest(), HIDDEN_MS);
      else this.#wake();
    });
    addEventListener("online", () => this.#retryNow());
    addEventListener("pagehide", () => this.#rest());
    addEventListener("pageshow", () => this.#wake());
    this.#connect();
  }

  get hello() { return this.#hello; }

  // `request` is the message without its id. `to` has `snapshot(data)`, `delta(data)` and, if wanted, `failed(text)`.
  watch(request, to) {
    const watch = { request, to, id: 0, seq: 0 };
    this.#watches.add(watch);
    this.#ask(watch);
    return { end: () => { this.#watches.delete(watch); this.#end(watch); } };
  }

  #open() { return this.#socket?.readyState === WebSocket.OPEN && this.#hello !== null; }

  #ask(watch) {
    if (!this.#open()) return;
    watch.id = this.#nextId++;
    watch.seq = 0;
    this.#byId.set(watch.id, watch);
    this.#socket.send(JSON.stringify({ id: watch.id, ...watch.request }));
  }

  #end(watch) {
    if (!watch.id) return;
    this.#byId.delete(watch.id);
    if (this.#open()) this.#socket.send(JSON.stringify({ id: watch.id, end: true }));
    watch.id = 0;
  }

  #connect() {
    clearTimeout(this.#timer);
    this.#state("connecting");
    const socket = this.#socket = new WebSocket(this.#url);
    this.#listen(socket);
    socket.onmessage = (message) => { if (socket === this.#socket) this.#take(JSON.parse(message.data)); };
    socket.onclose = () => { if (socket === this.#socket) this.#lost(); };
  }

  #listen(socket) {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => { if (socket === this.#socket) { socket.close(); this.#lost(); } }, SILENT_MS);
  }

  #take(message) {
    this.#listen(this.#socket);
    if (message.hello) {
      this.#hello = message.hello;
      this.#failures = 0;
      this.#state("live");
      this.dispatchEvent(new CustomEvent("hello", { detail: message.hello }));
      for (const watch of this.#watches) this.#ask(watch);
      return;
    }
    const watch = this.#byId.get(message.id);
    if (!watch) return;
    if (message.error) { watch.to.failed?.(message.error); return; }
    if (message.snapshot) {
      watch.seq = message.seq;
      watch.to.snapshot(message.snapshot);
    } else if (message.delta) {
      if (message.seq !== watch.seq + 1) {
        this.#end(watch);
        this.#ask(watch);
        return;
      }
      watch.seq = message.seq;
      watch.to.delta(message.delta);
    }
  }

  #lost() {
    clearTimeout(this.#silence);
    this.#socket = null;
    this.#hello = null;
    this.#byId.clear();
    for (const watch of this.#watches) watch.id = 0;
    if (this.#resting) return;
    this.#state("away");
    const most = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#failures++);
    this.#timer = setTimeout(() => this.#connect(), most * (0.5 + Math.random() / 2));
  }

  #retryNow() {
    if (!this.#socket && !this.#resting) { this.#failures = 0; this.#connect(); }
  }

  #rest() {
    this.#resting = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#silence);
    this.#socket?.close();
    this.#lost();
    this.#state("resting");
  }

  #wake() {
    if (!this.#resting) return;
    this.#resting = false;
    this.#failures = 0;
    this.#connect();
  }

  #state(state) { this.dispatchEvent(new CustomEvent("state", { detail: state })); }
}
