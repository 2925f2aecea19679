import { addTask, followTasks, listTasks, Refused, setDone, signOut } from "./tasks.js";

const part = (id) => document.getElementById(id);
/** By id, in the order in which they are shown. */
let tasks = new Map();

const session = await readSession();
if (session.signedIn) await showTasks(session);
else showWelcome();

async function readSession() {
  try {
    const answer = await fetch("/.tidegate/session");
    return answer.ok ? await answer.json() : { signedIn: false };
  } catch {
    tell("The gateway cannot be reached. Reload the page in a moment.");
    return { signedIn: false };
  }
}

function showWelcome() {
  part("welcome").hidden = false;
  part("tasks").hidden = true;
  part("signed-in").hidden = true;
}

async function showTasks({ name }) {
  part("who").textContent = name ?? "";
  part("signed-in").hidden = false;
  part("sign-out").addEventListener("click", () => void attempt(leave));
  part("tasks").hidden = false;
  part("new-task").addEventListener("submit", (event) => void add(event));
  await attempt(async () => {
    for (const task of await listTasks()) tasks.set(task.id, task);
    draw();
  });
  followTasks({
    live: () => (part("feed").textContent = "Live: what changes elsewhere shows here at once."),
    lost: () => (part("feed").textContent = "Not live for now; coming back…"),
    ended: (code) => {
      showWelcome();
      tell(
        code === 4410
          ? "You were signed out. Sign in again to go on."
          : "Your session has ended. Sign in again to go on.",
      );
    },
    changed: (message) => void attempt(() => apply(message)),
  });
}

/** Ends the session here, and then, at the address that the gateway says, the one at the provider. */
async function leave() {
  location.assign(await signOut());
}

async function add(event) {
  event.preventDefault();
  const title = part("title");
  await attempt(async () => {
    put(await addTask(title.value));
    title.value = "";
  });
  title.focus();
}

async function apply({ type, task, id }) {
  if (type === "task.created" || type === "task.updated") put(task);
  else if (type === "task.deleted") tasks.delete(id);
  else if (type === "tasks.reordered" || type === "feed.resync")
    tasks = new Map((await listTasks()).map((one) => [one.id, one]));
  draw();
}

/** What this window did comes back over the feed, perhaps after something newer. */
function put(task) {
  const known = tasks.get(task.id);
  if (known === undefined || known.version <= task.version) tasks.set(task.id, task);
  draw();
}

function draw() {
  const inOrder = [...tasks.values()].sort((a, b) => (a.position < b.position ? -1 : 1));
  part("list").replaceChildren(...inOrder.map(item));
  part("empty").hidden = inOrder.length > 0;
}

function item(task) {
  const box = document.createElement("input");
  box.type = "checkbox";
  box.checked = task.status === "done";
  box.addEventListener("change", () => {
    void attempt(async () => put(await setDone(task, box.checked))).then(draw);
  });
  const text = document.createElement("span");
  text.textContent = task.title;
  text.classList.toggle("done", box.checked);
  const label = document.createElement("label");
  label.append(box, text);
  const entry = document.createElement("li");
  entry.append(label);
  return entry;
}

/** Runs `work` and says what went wrong, if anything did. */
async function attempt(work) {
  try {
    await work();
    part("notice").hidden = true;
  } catch (error) {
    if (error instanceof Refused && error.status === 401) {
      showWelcome();
      tell("Your session has ended. Sign in again to go on.");
    } else tell(error instanceof Refused ? error.message : "The gateway cannot be reached.");
  }
}

function tell(text) {
  part("notice").textContent = text;
  part("notice").hidden = false;
}
