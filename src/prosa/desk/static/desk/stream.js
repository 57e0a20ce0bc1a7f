// The event stream of this tab, through lost connections: it says so, listens again, and what was missed is caught up with.

const $ = (id) => document.getElementById(id);
const SILENT_MS = 40000; // the server says something every 15 s
const LOOK_MS = 5000;
const FIRST_MS = 1200, MOST_MS = 15000; // between attempts, more or less: after a restart not everybody comes at once
const BLINK_MS = 2000; // what is mended so soon is not worth a word
const BACK_MS = 3000;
const SPREAD_MS = 1500; // of what the server tells everybody to ask for

// `address(first)`: of the stream. `hears`: by the name of an event what is done with its data; `refresh` may take its time.
// `tried`: called when the stream could not be had, before it is asked for again; false when that is of no use now.
export function listen(address, hears, tried) {
  const lost = $("lost"), back = $("back");
  let stream = null, heard = Date.now(), wait = FIRST_MS, timer = 0, saying = 0, hiding = 0, first = true, missed = false;

  function say() {
    clearTimeout(saying);
    saying = 0;
    back.hidden = true;
    lost.hidden = false;
  }

  function drop(at_once) {
    stream?.close();
    stream = null;
    missed = true;
    if (at_once) say();
    else if (lost.hidden && !saying) saying = setTimeout(say, BLINK_MS);
    clearTimeout(timer);
    timer = setTimeout(again, wait * (0.5 + Math.random()));
    wait = Math.min(wait * 1.7, MOST_MS);
  }

  async function again() {
    timer = 0;
    if (navigator.onLine !== false && (await tried()) === false) { // it is not the line: the person is signed out, and told so
      clearTimeout(saying);
      saying = 0;
      lost.hidden = true;
    } else if (!timer && !stream) open();
  }

  // Whatever came: the line lives.
  async function alive(name, data, whose) {
    if (whose !== stream) return;
    heard = Date.now();
    const returned = missed;
    missed = false;
    wait = FIRST_MS;
    clearTimeout(saying);
    saying = 0;
    if (name === "refresh" && !returned && !first) setTimeout(() => hears.refresh(), Math.random() * SPREAD_MS);
    else {
      const told = !lost.hidden;
      first = false;
      await hears[name]?.(data);
      if (!told || missed) return;
      lost.hidden = true;
      back.hidden = false;
      clearTimeout(hiding);
      hiding = setTimeout(() => { back.hidden = true; }, BACK_MS);
    }
  }

  function open() {
    clearTimeout(timer);
    timer = 0;
    stream?.close();
    heard = Date.now();
    const opened = new EventSource(address(first));
    stream = opened;
    for (const name of new Set(["still", ...Object.keys(hears)])) {
      opened.addEventListener(name, (message) => alive(name, JSON.parse(message.data), opened));
    }
    opened.addEventListener("error", () => { if (opened === stream) drop(false); });
  }

  // A laptop that slept, or a server that stands still, leaves a connection that is dead without having said so.
  function look() {
    if (stream && Date.now() - heard > SILENT_MS) { wait = FIRST_MS; drop(true); }
  }
  setInterval(look, LOOK_MS);
  const wake = () => (stream || timer ? look() : again());
  document.addEventListener("visibilitychange", wake);
  addEventListener("pageshow", wake);
  addEventListener("offline", () => drop(true));
  addEventListener("online", () => {
    clearTimeout(timer);
    wait = FIRST_MS;
    timer = setTimeout(again, Math.random() * FIRST_MS);
  });
  open();
}
