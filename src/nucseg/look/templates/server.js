// What the page does with its server: predict images, open results, write files, train.

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
  byId("model").replaceChildren(...models.map((model) => new Option(model.name, model.name, model.default, model.default)));
  byId("key-label").hidden = true;
  showSet(await (await ask("/look/training")).json());
  say("Drop an image, or choose one.");
}

/** Wait for a task to end; return what became of it. */
async function ended(id) {
  byId("progress").hidden = false;
  try {
    for (;;) {
      const task = await askTask(id);
      byId("progress").value = task.progress;
      if (task.status === "FAILED") {
        say(task.error);
        throw new Error(task.error);
      }
      if (task.status === "FINISHED") return task;
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  } finally {
    byId("progress").hidden = true;
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
  say(`${file.name}: the nuclei are being found.`);
  await ended(task.id);
  await openTask(task.id, file.name.replace(/\.[^.]*$/, ""));
}

async function openTask(id, name) {
  if (!id) return say("Give the id of a finished task.");
  const known = page.views.findIndex((view) => view.task === id);
  if (known < 0) {
    const answer = await ask(`/look/tasks/${encodeURIComponent(id)}?${new URLSearchParams({ name: name || id })}`);
    page.views.push({ ...(await answer.json()), task: id });
    offer(page.views[page.views.length - 1], page.views.length - 1);
  }
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
  say(`${name}: ${shownNuclei().length} nuclei.`);
}

// A better model

function showSet({ images, needed }) {
  const lacking = Math.max(0, needed - images);
  byId("train-set").textContent = `${images} image${images === 1 ? "" : "s"} in the training set${lacking ? `, ${lacking} more are needed` : ""}.`;
  byId("train-start").disabled = lacking > 0;
}

async function addToSet() {
  if (!page.view) return say("Open an image first.");
  showSet(await (await sendNuclei(`training?${new URLSearchParams({ name: fileName() })}`)).json());
  page.nuclei.saved = page.nuclei.history.length;
  say(`${fileName()} is in the training set with ${shownNuclei().length} nuclei.`);
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
  byId("train-result").textContent = "The training is queued. Task: " + task.id;
  await ended(task.id);
  await showScores(task.id);
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
  for (const row of [before, after]) {
    const cells = table.insertRow();
    for (const name of ["model", "f1_50", "ap_50", "ap_mean_50_90"]) {
      cells.insertCell().textContent = typeof row[name] === "number" ? row[name].toFixed(3) : row[name] ?? "not defined";
    }
  }
  const advice = document.createElement("p");
  advice.textContent = `On ${after.n_images} images held out, ${after.model} is ` +
    (better ? `at least as good as ${before.model}: choose it above.` : `worse than ${before.model}: go on using ${before.model}.`);
  const report = document.createElement("button");
  report.type = "button";
  report.textContent = "Download the report";
  report.addEventListener("click", tried(async () => {
    download(`${after.model}.html`, await (await ask(`/look/training/${id}/report`)).blob(), "text/html");
  }));
  byId("train-result").replaceChildren(table, advice, report);
}

document.addEventListener("page-ready", () => {
  const drop = byId("drop");
  byId("upload").addEventListener("change", () => tried(predict)(byId("upload").files[0]));
  byId("key").addEventListener("change", tried(listModels));
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
  tried(listModels)();
});
