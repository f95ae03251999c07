// The page: shows an image with its nuclei in Bokeh's figures, and turns buttons, keys and lines into corrections.

const byId = (id) => document.getElementById(id);
/** A number and its noun. */
const counted = (number, noun, plural = `${noun}s`) => `${number} ${number === 1 ? noun : plural}`;
const say = (text) => { byId("status").textContent = text; };
const COLOUR = { found: "#e69f00", corrected: "#56b4e9" };
const HOVERED = ["score", "area", "area_um2", "circularity"]; // and mean intensities

const page = {
  views: JSON.parse(byId("images-json").textContent),
  opened: new Map(), // what was corrected, by the task, or the name of the image
  nuclei: null, // the Nuclei that are shown
  view: null,
  shown: [], // nuclei, in the order of Bokeh's rows
  mode: null, // "split", "draw", "redraw" or none
  models: {}, // Bokeh's, by name
};

/** Show an image. */
function show(view) {
  page.view = view;
  const key = view.task ?? view.name;
  if (!page.opened.has(key)) page.opened.set(key, new Nuclei(view));
  page.nuclei = page.opened.get(key);
  setMode(null);
  const { nuclei, hover, image, pixels } = page.models;
  nuclei.selected.indices = [];
  view.levels ??= view.channels.map((channel) => ({ bytes: bytesOf(channel.pixels), from: 0, to: 255, on: true }));
  showChannels(view);
  const means = page.nuclei.columns.filter((name) => /^intensity_mean|^nucleus_mean_(?!corrected)/.test(name));
  const names = [...HOVERED.filter((name) => name === "score" || page.nuclei.columns.includes(name)), ...means];
  hover.tooltips = names.map((name) => [name, `@{${name}}`]);
  page.hovered = names;
  pixels.data = { image: [], width: [], height: [] };
  const scores = [...page.nuclei.all.values()].map((nucleus) => nucleus.score);
  byId("score").min = Math.floor(100 * scores.reduce((a, b) => Math.min(a, b), 1)) / 100;
  byId("score").value = byId("score").min;
  drawImage();
  wholeImage();
  refresh();
  image.name = "image";
  say(`${view.name} is shown.`);
}

function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

function showChannels(view) {
  const box = byId("channels");
  box.replaceChildren(box.querySelector("legend"));
  view.channels.forEach((channel, k) => {
    const level = view.levels[k];
    const stored = (value) => rounded(channel.low + (value / 255) * (channel.high - channel.low));
    const row = document.createElement("div");
    row.innerHTML = `<label><input type="checkbox" checked> <span></span></label>
      <input type="range" min="0" max="255"><input type="range" min="0" max="255"><output></output>`;
    const [on, from, to] = row.querySelectorAll("input");
    row.querySelector("span").textContent = channel.name;
    on.checked = level.on;
    from.value = level.from;
    to.value = level.to;
    from.setAttribute("aria-label", `${channel.name}: shown black`);
    to.setAttribute("aria-label", `${channel.name}: shown brightest`);
    const changed = () => {
      Object.assign(level, { on: on.checked, from: Number(from.value), to: Number(to.value) });
      row.querySelector("output").textContent = `${stored(level.from)} to ${stored(level.to)}`;
    };
    row.addEventListener("input", () => { changed(); drawImage(); });
    changed();
    box.append(row);
  });
}

/** Mix the channels, each from its own black to its own brightest, into the picture. */
function drawImage() {
  const { view, models } = page, count = view.width * view.height;
  const mixed = new Uint8ClampedArray(4 * count).fill(255);
  const parts = view.levels.flatMap((level, k) => {
    if (!level.on) return [];
    const rgb = [1, 3, 5].map((at) => parseInt(view.channels[k].colour.slice(at, at + 2), 16) / 255);
    const table = Uint8ClampedArray.from({ length: 256 }, (_, v) => (255 * (v - level.from)) / Math.max(1, level.to - level.from));
    return [{ bytes: level.bytes, tables: rgb.map((share) => table.map((value) => share * value)) }];
  });
  for (let colour = 0; colour < 3; colour++) {
    const some = parts.filter((part) => part.tables[colour][255] > 0 || part.tables[colour].some((value) => value > 0));
    for (let at = 0; at < count; at++) {
      let value = 0;
      for (const part of some) value += part.tables[colour][part.bytes[at]];
      mixed[4 * at + colour] = value;
    }
  }
  const { ndarray } = Bokeh.require("core/util/ndarray");
  const array = ndarray(mixed.buffer, { dtype: "uint32", shape: [view.height, view.width] });
  models.pixels.data = { image: [array], width: [view.width], height: [view.height] };
}

/** Hand the nuclei to Bokeh again after a correction. */
function refresh() {
  const selected = new Set(selectedIds());
  page.shown = [...page.nuclei.all.values()];
  const data = { xs: [], ys: [], colour: [], width: [] };
  for (const name of page.hovered) data[name] = [];
  for (const nucleus of page.shown) {
    data.xs.push(nucleus.ring.filter((_, i) => i % 2 === 0));
    data.ys.push(nucleus.ring.filter((_, i) => i % 2 === 1));
    data.colour.push(nucleus.corrected ? COLOUR.corrected : COLOUR.found);
    data.width.push(nucleus.corrected ? 2.5 : 1.5);
    for (const name of page.hovered) data[name].push(name === "score" ? nucleus.score : nucleus.values[name] ?? "not known");
  }
  page.models.nuclei.selected.indices = [];
  page.models.nuclei.data = data;
  filter();
  select([...selected].filter((id) => page.nuclei.all.has(id)));
}

const isShown = (nucleus) => nucleus.score >= Number(byId("score").value);
const shownNuclei = () => page.shown.filter(isShown);
const selectedIds = () => page.models.nuclei.selected.indices.map((row) => page.shown[row]?.id).filter((id) => id);

/** Show the nuclei from the chosen score on, and the sizes of these. */
function filter() {
  const least = Number(byId("score").value), visible = byId("outlines").checked, rows = [];
  page.shown.forEach((nucleus, row) => { if (isShown(nucleus)) rows.push(row); });
  byId("least").textContent = least.toFixed(2);
  page.models.shown.indices = visible ? rows : [];
  byId("count").textContent = `${rows.length} of ${counted(page.shown.length, "nucleus", "nuclei")}`;
  page.models.nuclei.selected.indices = page.models.nuclei.selected.indices.filter((row) => rows.includes(row));
  const factor = page.nuclei.pixelSize ? page.nuclei.pixelSize[0] * page.nuclei.pixelSize[1] : 1;
  const sizes = rows.map((row) => page.shown[row].area * factor);
  const most = sizes.reduce((a, b) => Math.max(a, b), 0) || 1, bins = Math.min(40, Math.max(5, Math.round(Math.sqrt(sizes.length))));
  const top = new Array(bins).fill(0);
  for (const size of sizes) top[Math.min(bins - 1, Math.floor((size / most) * bins))]++;
  const edges = Array.from({ length: bins + 1 }, (_, k) => (k * most) / bins);
  page.models.histogram.below[0].axis_label = page.nuclei.pixelSize ? "area (µm²)" : "area (pixels)";
  page.models.bins.data = { left: edges.slice(0, -1), right: edges.slice(1), top };
}

function select(ids) {
  const wanted = new Set(ids);
  page.models.nuclei.selected.indices = page.shown.flatMap((nucleus, row) => (wanted.has(nucleus.id) ? [row] : []));
}

function showMeasured() {
  const ids = selectedIds(), list = byId("measured");
  list.replaceChildren();
  if (ids.length !== 1) return;
  const nucleus = page.nuclei.all.get(ids[0]);
  for (const name of ["score", ...page.nuclei.columns]) {
    const [term, value] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    value.textContent = name === "score" ? nucleus.score : nucleus.values[name] ?? "not known";
    list.append(term, value);
  }
}

// Corrections

function setMode(mode) {
  page.mode = mode;
  for (const id of ["split", "draw", "redraw"]) byId(id).setAttribute("aria-pressed", String(id === mode));
  page.models.freehand.active = mode !== null;
  // Bokeh turns off what takes the same gestures.
  for (const tool of [page.models.pan, page.models.tap]) tool.active = mode === null;
  if (mode === null) page.models.line.data = { xs: [], ys: [] };
}

/** Check how many nuclei are selected; say what to do if it is another number. */
function chosen(least, most, text) {
  const ids = selectedIds();
  if (ids.length >= least && ids.length <= most) return ids;
  say(text);
  return null;
}

const actions = {
  delete() {
    const ids = chosen(1, Infinity, "Select the nuclei to delete.");
    if (!ids) return;
    page.nuclei.remove(ids);
    done(`${ids.length} deleted.`);
  },
  merge() {
    const ids = chosen(2, Infinity, "Select two nuclei or more to merge.");
    if (!ids) return;
    if (page.nuclei.merge(ids)) done(`${ids.length} nuclei are one now.`);
    else say("Another nucleus lies between them, perhaps one below the score; delete it first.");
  },
  split() {
    if (chosen(1, 1, "Select the nucleus to split.")) startDrawing("split", "Draw a line across the nucleus.");
  },
  draw() {
    startDrawing("draw", "Draw the outline of the nucleus.");
  },
  redraw() {
    if (chosen(1, 1, "Select the nucleus to redraw.")) startDrawing("redraw", "Draw its new outline.");
  },
  undo() {
    if (page.nuclei.undo()) done("Undone.");
    else say("There is nothing to undo.");
  },
};

function startDrawing(mode, text) {
  if (page.mode === mode) return setMode(null);
  page.target = selectedIds()[0];
  setMode(mode);
  say(text);
}

function done(text) {
  refresh();
  say(text);
}

function lineDrawn() {
  const { xs, ys } = page.models.line.data, mode = page.mode;
  if (!mode || !xs.length) return;
  const line = Array.from(xs[0]).flatMap((x, k) => [x, ys[0][k]]);
  page.models.line.data = { xs: [], ys: [] };
  if (mode === "split") {
    if (!page.nuclei.split(page.target, line)) return say("The line does not cut the nucleus in two; draw it right across.");
    setMode(null);
    return done("Split.");
  }
  const id = line.length < 6 ? 0 : page.nuclei.draw(line, mode === "redraw" ? page.target : 0);
  if (!id) return say(`A nucleus has at least ${LEAST} pixels of the image; draw around it.`);
  if (mode === "redraw") setMode(null); // several may be drawn one after another
  refresh();
  select([id]);
  say(mode === "redraw" ? "Redrawn." : "Drawn.");
}

// Moving

function zoom(factor) {
  for (const range of [page.models.image.x_range, page.models.image.y_range]) {
    const middle = (range.start + range.end) / 2, half = ((range.end - range.start) / 2) * factor;
    range.setv({ start: middle - half, end: middle + half });
  }
}

function move(across, down) {
  const { x_range: x, y_range: y } = page.models.image;
  const dx = (across * (x.end - x.start)) / 5, dy = (down * (y.end - y.start)) / 5;
  x.setv({ start: x.start + dx, end: x.end + dx });
  y.setv({ start: y.start + dy, end: y.end + dy });
}

function wholeImage() {
  const { view, models } = page, frame = Bokeh.index.find_one_by_id(models.image.id)?.frame.bbox;
  // Pixels are squares: the axis with more room than the image needs shows what lies beside it.
  const scale = frame ? Math.max(view.width / frame.width, view.height / frame.height) : 1;
  const [across, down] = frame ? [frame.width * scale, frame.height * scale] : [view.width, view.height];
  models.image.x_range.setv({ start: (view.width - across) / 2, end: (view.width + across) / 2 });
  models.image.y_range.setv({ start: (view.height + down) / 2, end: (view.height - down) / 2 });
}

function step(by) {
  const ids = shownNuclei().map((nucleus) => nucleus.id);
  if (!ids.length) return;
  const at = ids.indexOf(selectedIds()[0]), id = ids[(at + by + ids.length + (at < 0 && by < 0 ? 1 : 0)) % ids.length];
  select([id]);
  const { ring } = page.nuclei.all.get(id), { x_range: x, y_range: y } = page.models.image;
  const dx = ring[0] - (x.start + x.end) / 2, dy = ring[1] - (y.start + y.end) / 2;
  if (Math.abs(dx) > Math.abs(x.end - x.start) / 2.2) x.setv({ start: x.start + dx, end: x.end + dx });
  if (Math.abs(dy) > Math.abs(y.end - y.start) / 2.2) y.setv({ start: y.start + dy, end: y.end + dy });
  say(`Nucleus ${at < 0 && by > 0 ? 1 : ids.indexOf(id) + 1} of ${ids.length} is selected.`);
}

const keys = {
  d: actions.delete, Delete: actions.delete, Backspace: actions.delete, m: actions.merge, s: actions.split,
  a: actions.draw, r: actions.redraw, u: actions.undo, n: () => step(1), p: () => step(-1),
  o: () => { byId("outlines").click(); },
  Escape: () => { if (page.mode) setMode(null); else select([]); say(""); },
  "+": () => zoom(0.8), "-": () => zoom(1.25), 0: wholeImage,
  ArrowLeft: () => move(-1, 0), ArrowRight: () => move(1, 0), ArrowUp: () => move(0, 1), ArrowDown: () => move(0, -1),
};

function keyPressed(event) {
  if (!page.nuclei || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "checkbox") return;
  const undoing = (event.ctrlKey || event.metaKey) && event.key === "z";
  if (!undoing && (event.ctrlKey || event.metaKey || event.altKey)) return;
  const action = undoing ? actions.undo : keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

// Downloads

const fileName = () => page.nuclei.name.split("/").pop();

function downloads() {
  const save = (suffix, make, type) => () => {
    download(`${fileName()}${suffix}`, make(page.nuclei, shownNuclei()), type);
    page.nuclei.saved = page.nuclei.history.length;
    say(`${fileName()}${suffix}: ${counted(shownNuclei().length, "nucleus", "nuclei")}.`);
  };
  byId("geojson")?.addEventListener("click", save(".geojson", toGeoJson, "application/geo+json"));
  byId("labels")?.addEventListener("click", save(".tif", toTiff, "image/tiff"));
  byId("table")?.addEventListener("click", save(".csv", toCsv, "text/csv"));
}

/** Add an image to those that can be chosen. */
function offer(view, k) {
  byId("image").add(new Option(view.name, k));
  byId("chooser").hidden = k < 1;
}

async function start() {
  Bokeh.set_log_level("error"); // it warns of figures without data, which are filled in a moment
  await Bokeh.embed.embed_item(JSON.parse(byId("figures-json").textContent));
  const [found] = Bokeh.documents;
  for (const name of ["image", "pixels", "nuclei", "line", "bins", "hover", "freehand", "shown", "histogram"]) {
    page.models[name] = found.get_model_by_name(name);
  }
  for (const [name, type] of [["pan", "PanTool"], ["tap", "TapTool"]]) {
    page.models[name] = page.models.image.toolbar.tools.find((tool) => tool.type === type);
  }
  page.models.nuclei.selected.properties.indices.change.connect(showMeasured);
  byId("score").addEventListener("input", filter);
  byId("outlines").addEventListener("input", filter);
  for (const [id, action] of Object.entries(actions)) byId(id).addEventListener("click", () => page.nuclei && action());
  document.addEventListener("keydown", keyPressed);
  document.addEventListener("line-drawn", lineDrawn);
  window.addEventListener("beforeunload", (event) => {
    if ([...page.opened.values()].some((nuclei) => nuclei.unsaved)) event.preventDefault();
  });
  downloads();
  page.views.forEach(offer);
  byId("image").addEventListener("change", () => show(page.views[byId("image").value]));
  document.dispatchEvent(new Event("page-ready"));
  if (page.views.length) show(page.views[0]);
  document.body.dataset.ready = "yes";
}
