// The nuclei of one image, their corrections, and what undoes these.

/** Nuclei on a label image; each is one 4-connected piece without holes, and a pixel belongs to one of them. */
class Nuclei {
  /** @param view What `view_of` returned. */
  constructor(view) {
    Object.assign(this, { name: view.name, width: view.width, height: view.height, pixelSize: view.pixel_size });
    this.labels = new Int32Array(this.width * this.height);
    this.all = new Map(); // id -> {id, ring, score, area, values, corrected}
    this.history = [];
    this.saved = 0; // length of the history when the nuclei were last downloaded
    this.columns = Object.keys(view.nuclei.columns).filter((name) => name !== "label" && name !== "score");
    view.nuclei.rings.forEach((ring, k) => {
      const values = Object.fromEntries(Object.entries(view.nuclei.columns).map(([name, column]) => [name, column[k]]));
      this.all.set(k + 1, { id: k + 1, ring, score: view.nuclei.scores[k], area: values.area, values, corrected: false });
    });
    // A small nucleus may lie in a hole of a large one.
    for (const { id, ring } of [...this.all.values()].sort((a, b) => b.area - a.area)) {
      this.paint(fillRing(ring, this.width, this.height), id);
    }
    this.last = view.nuclei.rings.length; // largest id that was ever used
  }

  get unsaved() {
    return this.history.length !== this.saved;
  }

  /** Return where in the label image a place of a mask is. */
  place(mask, at) {
    return (mask.top + Math.floor(at / mask.width)) * this.width + mask.left + (at % mask.width);
  }

  /** Give the pixels of a mask a label. */
  paint(mask, label) {
    mask.bits.forEach((bit, at) => {
      if (bit) this.labels[this.place(mask, at)] = label;
    });
  }

  /** Return the mask of the pixels with one of some labels. */
  maskOf(ids, margin = 0) {
    const rings = ids.map((id) => this.all.get(id).ring).flat();
    let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
    for (let i = 0; i < rings.length; i += 2) {
      left = Math.min(left, rings[i]); right = Math.max(right, rings[i]);
      top = Math.min(top, rings[i + 1]); bottom = Math.max(bottom, rings[i + 1]);
    }
    left = Math.max(0, left - margin); right = Math.min(this.width, right + margin);
    top = Math.max(0, top - margin); bottom = Math.min(this.height, bottom + margin);
    const mask = newMask(left, top, right - left, bottom - top);
    for (let at = 0; at < mask.bits.length; at++) {
      if (ids.includes(this.labels[this.place(mask, at)])) mask.bits[at] = 1;
    }
    return mask;
  }

  /**
   * Change the labels of some nuclei and of the pixels of a mask, so that it can be undone.
   * Others that lose pixels keep their largest piece.
   */
  change(ids, mask, edit) {
    const touched = new Set(ids);
    mask?.bits.forEach((bit, at) => {
      const label = this.labels[this.place(mask, at)];
      if (bit && label) touched.add(label);
    });
    const before = new Map([...touched].map((id) => [id, this.all.get(id)]));
    const areas = [...touched].map((id) => this.maskOf([id]));
    if (mask) areas.push(mask);
    const pixels = new Map(); // place -> label before
    for (const area of areas) {
      area.bits.forEach((bit, at) => {
        const place = this.place(area, at);
        if (bit) pixels.set(place, this.labels[place]);
      });
    }
    const created = edit() ?? [];
    const owners = new Map([...touched, ...created].map((id) => [id, []]));
    for (const place of pixels.keys()) owners.get(this.labels[place])?.push(place);
    const meant = new Set([...ids, ...created]);
    for (const [id, places] of owners) this.settle(id, places, before.get(id), pixels, meant.has(id));
    for (const id of created) if (!before.has(id)) before.set(id, undefined);
    this.history.push({ before, pixels });
  }

  /** Make a nucleus one piece without holes of the pixels that it has, and note its new outline. */
  settle(id, places, old, pixels, isMeant) {
    if (!places.length) {
      this.all.delete(id);
      return;
    }
    const xs = places.map((place) => place % this.width), ys = places.map((place) => Math.floor(place / this.width));
    const low = (values) => values.reduce((a, b) => Math.min(a, b)), high = (values) => values.reduce((a, b) => Math.max(a, b));
    const left = low(xs), top = low(ys), mask = newMask(left, top, high(xs) - left + 1, high(ys) - top + 1);
    places.forEach((_, k) => (mask.bits[(ys[k] - top) * mask.width + xs[k] - left] = 1));
    for (const crumb of piecesOf(mask.bits, mask.width).slice(1)) {
      for (const at of crumb) {
        mask.bits[at] = 0;
        this.labels[this.place(mask, at)] = 0;
      }
    }
    for (const at of holesOf(mask)) {
      const place = this.place(mask, at);
      mask.bits[at] = 1;
      if (this.labels[place] !== 0) continue; // another nucleus lies in the hole
      if (!pixels.has(place)) pixels.set(place, 0);
      this.labels[place] = id;
    }
    const ring = traceMask(mask);
    if (old && String(old.ring) === String(ring)) return;
    const own = this.maskOfRing(ring, id), area = own.length;
    const mean = (values) => values.reduce((a, b) => a + b, 0) / area;
    const rows = mean(own.map((place) => Math.floor(place / this.width))), columns = mean(own.map((place) => place % this.width));
    const values = { label: id, area, "centroid-0": rounded(rows), "centroid-1": rounded(columns) };
    if (this.pixelSize) {
      values.area_um2 = rounded(area * this.pixelSize[0] * this.pixelSize[1]);
      values["centroid-0_um"] = rounded((rows + 0.5) * this.pixelSize[0]);
      values["centroid-1_um"] = rounded((columns + 0.5) * this.pixelSize[1]);
    }
    // What a person has outlined is certain: no threshold hides it. One that only lost pixels is as uncertain as before.
    const score = isMeant ? 1 : old.score;
    this.all.set(id, { id, ring, score, area, values, corrected: true });
  }

  /** Return the places of the pixels within a ring that have a label. */
  maskOfRing(ring, id) {
    const mask = fillRing(ring, this.width, this.height), places = [];
    mask.bits.forEach((bit, at) => {
      const place = this.place(mask, at);
      if (bit && this.labels[place] === id) places.push(place);
    });
    return places;
  }

  /** Undo the last correction; return whether there was one. */
  undo() {
    const step = this.history.pop();
    if (!step) return false;
    for (const [place, label] of step.pixels) this.labels[place] = label;
    for (const [id, nucleus] of step.before) nucleus ? this.all.set(id, nucleus) : this.all.delete(id);
    if (this.history.length < this.saved) this.saved = -1; // what was downloaded is not what is shown
    return true;
  }

  /** Delete nuclei. */
  remove(ids) {
    this.change(ids, null, () => {
      for (const id of ids) this.paint(this.maskOf([id]), 0);
    });
  }

  /** Make one nucleus of several; where they do not touch, with the background between them. */
  merge(ids) {
    const whole = this.maskOf(ids);
    let mask = whole;
    if (piecesOf(whole.bits, whole.width).length > 1) {
      const corners = ids.flatMap((id) => {
        const ring = this.all.get(id).ring;
        return ring.filter((_, i) => i % 2 === 0).map((x, i) => [x, ring[2 * i + 1]]);
      });
      mask = fillRing(hullOf(corners), this.width, this.height);
      mask.bits.forEach((bit, at) => {
        const place = this.place(mask, at);
        if (bit && this.labels[place] !== 0 && !ids.includes(this.labels[place])) mask.bits[at] = 0;
      });
      if (piecesOf(mask.bits, mask.width).length > 1) return false; // another nucleus lies between them
    }
    this.change(ids, mask, () => {
      this.paint(whole, ids[0]);
      this.paint(mask, ids[0]);
    });
    return true;
  }

  /** Cut a nucleus along a line [x, y, x, y, ...]; return whether the line cuts it in two. */
  split(id, line) {
    const mask = this.maskOf([id]), cut = mask.bits.slice();
    mask.bits.forEach((bit, at) => {
      const x = mask.left + (at % mask.width) + 0.5, y = mask.top + Math.floor(at / mask.width) + 0.5;
      if (bit && distanceToLine(x, y, line) < 0.75) cut[at] = 2;
    });
    const pieces = piecesOf(cut, mask.width).filter((piece) => piece.length >= LEAST);
    if (pieces.length < 2) return false;
    const owner = new Int32Array(cut.length);
    const ids = pieces.map((_, k) => (k === 0 ? id : ++this.last));
    pieces.forEach((piece, k) => piece.forEach((at) => (owner[at] = ids[k])));
    // The pixels of the line, and crumbs beside it, go to the piece that they touch.
    let open = [...mask.bits.keys()].filter((at) => mask.bits[at] && !owner[at]);
    while (open.length) {
      const found = open.map((at) => {
        const x = at % mask.width;
        const beside = [x > 0 ? at - 1 : -1, x < mask.width - 1 ? at + 1 : -1, at - mask.width, at + mask.width];
        return beside.map((next) => owner[next] ?? 0).find((each) => each > 0) ?? 0;
      });
      open.forEach((at, k) => (owner[at] = found[k]));
      open = open.filter((at) => !owner[at]);
    }
    this.change([id], mask, () => {
      mask.bits.forEach((bit, at) => {
        const place = this.place(mask, at);
        if (bit) this.labels[place] = owner[at];
      });
      return ids;
    });
    return true;
  }

  /** Draw a nucleus along a ring, over others; instead of one if its id is given. Return its id, or 0 if it is too small. */
  draw(ring, id = 0) {
    const mask = fillRing(ring, this.width, this.height);
    if ((piecesOf(mask.bits, mask.width)[0] ?? []).length < LEAST) return 0;
    const own = id || ++this.last;
    this.change(id ? [id] : [], mask, () => {
      if (id) this.paint(this.maskOf([id]), 0);
      this.paint(mask, own);
      return [own];
    });
    return own;
  }
}

/** Fewest pixels of a nucleus that is drawn or cut off. */
const LEAST = 4;

/** Return a number with few digits. */
function rounded(value) {
  return Number(value.toPrecision(5));
}
