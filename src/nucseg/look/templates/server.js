// What the page does with its server: predict images, open results, write files, train.

/** What this browser remembers; a server tells nobody which tasks there are. */
const memory = {
  get(key) {
    try {
      return JSON.parse(localStorage.getItem(`nucseg-${key}`));
    } catch {
      return null; // the browser forbids it, or it was not written by this page
    }
  },
  set(key, value) {
    try {
      localStorage.setItem(`nucseg-${key}`, JSON.stringify(value));
    } catch {
      // the browser forbids it, or has no room: nothing is remembered
    }
  },
};
const MOST_REMEMBERED = 50;

/** Ask the server; say what is wrong, and ask for the API key where it is missing. */
async function ask(path, options = {}) {
  const key = byId("key").value;
  const headers = { ...options.headers, ...(key ? { "X-API-Key": key } : {}) };
  // Without credentials the browser does not ask for the key in a window of its own.
  const answer = await fetch(path, { ...options, headers, credentials: "omit" }).catch(() => null);
  if (answer?.ok) return answer;
  if (answer?.status === 401) {
    byId("key-label").hidden = false;
    byId("key").focus();
  }
  const text = answer ? (await answer.json().catch(() => ({}))).message ?? `the server answered ${answer.status}.` : "the server cannot be reached.";
  say(answer?.status === 401 ? "The server needs its API key." : text);
  throw Object.assign(new Error(text), { status: answer?.status });
}

/** Ask for the state of a task, again and again while the server is too busy or out of reach. */
async function askTask(id) {
  for (;;) {
    try {
      return await (await ask(`/tasks/${id}`)).json();
    } catch (error) {
      if (error.status < 500) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

/** Call what a button is for; what goes wrong has been said. */
const tried = (action) => (...given) => action(...given).catch(() => {});

async function listModels() {
  const { models } = await (await ask("/models")).json();
  const chosen = byId("model").value;
  byId("model").replaceChildren(...models.map((model) => new Option(model.name, model.name, model.default, model.default)));
  if (models.some((model) => model.name === chosen)) byId("model").value = chosen;
  byId("key-label").hidden = true;
  showSet(await (await ask("/look/training")).json());
}

/** Show what the server offers, and go on waiting for a training that this browser started before. */
async function begin() {
  await listModels();
  if (!page.view) say("Drop an image, or choose one.");
  if (memory.get("training") && !byId("train-result").hasChildNodes()) await follow(memory.get("training"));
}

/** Wait for a task to end, and show its progress in a bar; return what became of it. */
async function ended(id, bar) {
  bar.hidden = false;
  try {
    for (;;) {
      const task = await askTask(id);
      bar.value = task.progress;
      if (task.status === "FAILED") {
        say(task.error);
        throw new Error(task.error);
      }
      if (task.status === "FINISHED") return task;
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  } finally {
    bar.hidden = true;
  }
}

async function predict(file) {
  if (!file) return;
  say(`${file.name} is being sent.`);
  const query = new URLSearchParams({ formats: "geojson" });
  if (byId("model").value) query.set("model", byId("model").value);
  if (byId("channel").value.trim()) query.set("channel", byId("channel").value.trim());
  const headers = { "Content-Type": "application/octet-stream" };
  const task = await (await ask(`/tasks?${query}`, { method: "POST", body: file, headers })).json();
  const name = file.name.replace(/\.[^.]*$/, "");
  remember({ id: task.id, name });
  say(`${file.name}: the nuclei are being found.`);
  await ended(task.id, byId("progress"));
  await openTask(task.id, name);
}

// Images of this browser: the newest first

const remembered = () => memory.get("tasks") ?? [];

function remember(task) {
  const others = remembered().filter(({ id }) => id !== task.id);
  memory.set("tasks", [{ ...task, at: Date.now() }, ...others].slice(0, MOST_REMEMBERED));
  offerRemembered();
}

function forget(gone) {
  memory.set("tasks", remembered().filter(({ id }) => id !== gone));
  offerRemembered();
}

function offerRemembered() {
  const options = remembered().map(({ id, name, at }) => new Option(`${name}, ${new Date(at).toLocaleString()}`, id));
  byId("earlier").replaceChildren(new Option("choose one", ""), ...options);
  byId("earlier-label").hidden = options.length === 0;
}

async function openRemembered() {
  const task = remembered().find(({ id }) => id === byId("earlier").value);
  if (!task) return;
  try {
    await ended(task.id, byId("progress"));
    await openTask(task.id, task.name);
  } catch (error) {
    if (error.status === 404 || error.status === 410) forget(task.id); // deleted, or expired
    throw error;
  } finally {
    byId("earlier").value = "";
  }
}

async function openTask(id, name) {
  if (!id) return say("Enter the id of a finished task.");
  const known = page.views.findIndex((view) => view.task === id);
  if (known < 0) {
    const answer = await ask(`/look/tasks/${encodeURIComponent(id)}?${new URLSearchParams({ name: name || id })}`);
    page.views.push({ ...(await answer.json()), task: id });
    offer(page.views[page.views.length - 1], page.views.length - 1);
  }
  if (!remembered().some((task) => task.id === id)) remember({ id, name: name || id });
  byId("image").value = known < 0 ? page.views.length - 1 : known;
  show(page.views[byId("image").value]);
}

/** Send the nuclei that are shown. */
function sendNuclei(path) {
  const headers = { "Content-Type": "application/geo+json" };
  return ask(`/look/tasks/${page.view.task}/${path}`, { method: "POST", headers, body: toGeoJson(page.nuclei, shownNuclei()) });
}

async function fetchFile() {
  if (!page.view) return say("Open an image first.");
  const answer = await sendNuclei(`files?${new URLSearchParams({ format: byId("format").value, name: fileName() })}`);
  const [, name] = /filename="(.*)"/.exec(answer.headers.get("Content-Disposition"));
  download(name, await answer.blob(), "application/octet-stream");
  page.nuclei.saved = page.nuclei.history.length;
  say(`${name}: ${counted(shownNuclei().length, "nucleus", "nuclei")}.`);
}

// A better model

function showSet({ images, needed }) {
  const lacking = Math.max(0, needed - images);
  byId("train-set").textContent = `${counted(images, "image")} in the training set${lacking ? `, ${lacking} more ${lacking === 1 ? "is" : "are"} needed` : ""}.`;
  byId("train-start").disabled = lacking > 0;
}

async function addToSet() {
  if (!page.view) return say("Open an image first.");
  showSet(await (await sendNuclei(`training?${new URLSearchParams({ name: fileName() })}`)).json());
  page.nuclei.saved = page.nuclei.history.length;
  say(`${fileName()} is in the training set with ${counted(shownNuclei().length, "nucleus", "nuclei")}.`);
}

async function clearSet() {
  await ask("/look/training", { method: "DELETE" });
  showSet(await (await ask("/look/training")).json());
}

async function improve() {
  const query = new URLSearchParams({ name: byId("train-name").value.trim(), minutes: byId("train-minutes").value });
  if (byId("model").value) query.set("model", byId("model").value);
  const task = await (await ask(`/look/training?${query}`, { method: "POST" })).json();
  say(""); // an error of the last attempt
  memory.set("training", task.id);
  await follow(task.id);
}

/** Wait for a training, and show what came of it. */
async function follow(id) {
  byId("train-result").textContent = `The training is queued, or runs. Task: ${id}`;
  try {
    await ended(id, byId("train-progress"));
    await showScores(id);
  } catch (error) {
    if (error.status !== 401) memory.set("training", null); // it has failed, is deleted, or has expired
    byId("train-result").replaceChildren();
    throw error;
  }
  await listModels();
}

async function showScores(id) {
  const { before, after, better } = await (await ask(`/look/training/${id}`)).json();
  const table = document.createElement("table");
  table.createTHead().insertRow().append(...["model", "F1 at IoU 0.5", "AP at IoU 0.5", "mean AP 0.5 to 0.9"].map((name) => {
    const cell = document.createElement("th");
    cell.textContent = name;
    return cell;
  }));
  for (const [when, row] of [["before", before], ["after", after]]) {
    const cells = table.insertRow();
    cells.insertCell().textContent = `${when}: ${row.model}`;
    for (const name of ["f1_50", "ap_50", "ap_mean_50_90"]) {
      cells.insertCell().textContent = typeof row[name] === "number" ? row[name].toFixed(3) : row[name] ?? "not defined";
    }
  }
  const advice = document.createElement("p");
  advice.textContent = `On ${counted(after.n_images, "image")} held out, ${after.model} is ` +
    (better === null ? `not comparable with ${before.model}: they have no nuclei.` : better ? `at least as good as ${before.model}: choose it above.` : `worse than ${before.model}: go on using ${before.model}.`);
  const report = document.createElement("button");
  report.type = "button";
  report.textContent = "Download the report";
  report.addEventListener("click", tried(async () => {
    download(`${after.model}.html`, await (await ask(`/look/training/${id}/report`)).blob(), "text/html");
  }));
  byId("train-result").replaceChildren(table, advice, report);
  say(advice.textContent); // the table may be scrolled out of sight
}

document.addEventListener("page-ready", () => {
  const drop = byId("drop");
  byId("upload").addEventListener("change", () => tried(predict)(byId("upload").files[0]));
  byId("key").addEventListener("change", tried(begin));
  byId("earlier").addEventListener("change", tried(openRemembered));
  byId("open").addEventListener("click", tried(() => openTask(byId("task").value.trim())));
  byId("train-add").addEventListener("click", tried(addToSet));
  byId("train-clear").addEventListener("click", tried(clearSet));
  byId("train-start").addEventListener("click", tried(improve));
  byId("download").addEventListener("click", tried(fetchFile));
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault(); // the browser would show the image instead of the page
      drop.classList.toggle("over", kind === "dragover");
      if (kind === "drop") tried(predict)(event.dataTransfer.files[0]);
    });
  }
  offerRemembered();
  tried(begin)();
});
