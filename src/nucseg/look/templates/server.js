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
  throw new Error(text);
}

/** Call what a button is for; what goes wrong has been said. */
const tried = (action) => (...given) => action(...given).catch(() => {});

async function listModels() {
  const { models } = await (await ask("/models")).json();
  byId("model").replaceChildren(...models.map((model) => new Option(model.name, model.name, model.default, model.default)));
  byId("key-label").hidden = true;
  say("Drop an image, or choose one.");
}

/** Wait for a task to end; return what became of it. */
async function ended(id) {
  byId("progress").hidden = false;
  try {
    for (;;) {
      const task = await (await ask(`/tasks/${id}`)).json();
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

document.addEventListener("page-ready", () => {
  const drop = byId("drop");
  byId("upload").addEventListener("change", () => tried(predict)(byId("upload").files[0]));
  byId("key").addEventListener("change", tried(listModels));
  byId("open").addEventListener("click", tried(() => openTask(byId("task").value.trim())));
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
