// Cameras of a machine: the newest picture with what is unusual laid over it. A picture may show people, so it is asked
// for with the token; map, boxes and score are told to whoever reads the page.

import { h } from "./dom.js";
import { findingsCard } from "./sensors.js";
import { clock, count, score } from "./words.js";

const MAP = 32;
const WIDTH = 640;
const LEAST = 255 / 8; // of the map's levels: half the threshold
const LEAST_OF_PART = 0.9 * 255 / 4; // good parts lie near it all over
const drawn = new Map(); // camera -> time of the picture that its canvas shows
const images = new Map();
const suspects = new Map(); // id -> bitmap

export function camerasSection(cameras, doc, { token }) {
  return cameras.map((camera) => h("section", { class: "card camera", "aria-label": `Camera ${camera.name}`, "data-key": `camera ${camera.name}` },
    h("div", { class: "row" }, h("h2", { class: "name" }, camera.name),
      camera.score !== null && h("strong", { class: camera.score >= 1 ? "bad" : "" }, score(camera.score))),
    camera.learnt ? h("p", { class: "quiet" }, camera.why ? `Not judged: ${camera.why}.` : "From 1 on the picture counts as unusual.")
      : h("p", { class: "quiet" }, `Being learnt: ${count(camera.gathered)} of ${count(camera.wanted)} pictures. Not watched until then.`,
        camera.why && camera.gathered === 0 && ` ${camera.why}.`),
    h("canvas", { class: "picture", "data-camera": camera.name, width: WIDTH, height: Math.round((WIDTH * camera.height) / camera.width),
      role: "img", "aria-label": told(camera) }),
    !token && h("div", { class: "unlock" },
      h("label", null, "Token, to see the picture", h("input", { type: "password", autocomplete: "off", maxlength: 1024 })),
      h("button", { type: "button", "data-unlock": true }, "Show the picture")),
    h("p", { class: "quiet" }, `Picture of ${clock(camera.time, doc.time)}`),
    camera.learnt && camera.parts !== null && h("p", { class: camera.loud >= camera.alarm_at ? "bad" : "" },
      `${count(camera.loud)} of the last ${count(camera.parts)} parts are suspects; ${count(camera.alarm_at)} are an alarm.`),
    camera.suspects.length > 0 && [h("h3", null, camera.parts === null ? "Unusual pictures" : "Suspects"),
      h("ul", { class: "suspects", "aria-label": `Suspects of ${camera.name}` }, camera.suspects.map((one) => suspectItem(one, camera, doc)))]));
}

function suspectItem(one, camera, doc) {
  const button = (name, words) => doc.commands.includes(name === "undo" ? "accept" : name)
    && h("button", { type: "button", "data-do": name, "data-alarm": one.id, "data-machine": doc.machine.name }, words);
  const said = one.good ? "said to be good" : one.kind ? `${one.kind}${one.probability < 1 ? ` (${Math.round(100 * one.probability)} %)` : ""}` : "not named";
  return h("li", { "data-key": one.id },
    h("canvas", { "data-suspect": one.id, "data-of": camera.name, width: 128, height: 128, role: "img", "aria-label": `Unusual picture: ${said}` }),
    h("p", null, h("strong", { class: one.good ? "" : "bad" }, score(one.score)), ` ${said}`),
    h("p", { class: "quiet" }, [one.part, clock(one.time, doc.time)].filter(Boolean).join(" · ")),
    h("div", { class: "actions" }, !one.good && button("label", "Name it"), one.good ? button("undo", "Undo") : button("accept", "This is good")));
}

// Alarms of pictures: where, since when, and who has seen it; they are neither named nor accepted.
export function picturesCard(pictures, doc, { titled }) {
  return pictures.length > 0 && h("section", { class: "card alarm", "aria-label": "Unusual pictures" },
    h("h2", null, "Unusual pictures"), findingsCard(pictures, doc, { titled }));
}

function told({ boxes }) {
  const places = boxes.map((box) => `${Math.round(100 * (box.x + box.width / 2))} % from the left, ${Math.round(100 * (box.y + box.height / 2))} % from above`);
  return places.length ? `Unusual: ${places.join("; ")}` : "Nothing unusual";
}

// Draw every camera's canvas anew; what the map says is there without the picture, too.
export async function drawCameras(machine, cameras, { token, refused }) {
  for (const camera of cameras) {
    const canvas = [...document.querySelectorAll("canvas[data-camera]")].find((one) => one.dataset.camera === camera.name);
    if (!canvas) continue;
    const key = `${machine}/${camera.name}`;
    const now = `${camera.time} ${token ? 1 : 0}`;
    if (drawn.get(key) === now && canvas.dataset.drawn === now) continue;
    if (token && images.get(key)?.time !== camera.time) {
      const answer = await fetch(`api/frame/${encodeURIComponent(machine)}/${encodeURIComponent(camera.name)}`,
        { headers: { Authorization: `Bearer ${token}` }, cache: "no-store", signal: AbortSignal.timeout(12000) });
      if (answer.status === 401) return refused();
      if (answer.ok) images.set(key, { time: camera.time, bitmap: await createImageBitmap(await answer.blob()) });
    }
    draw(canvas, camera, token ? images.get(key)?.bitmap : null);
    drawn.set(key, now);
    canvas.dataset.drawn = now;
  }
  return token ? drawSuspects(machine, { token, refused }) : undefined;
}

// Each picture is asked for once; those that left the strip are forgotten.
async function drawSuspects(machine, { token, refused }) {
  const shown = [...document.querySelectorAll("canvas[data-suspect]")];
  const ids = new Set(shown.map((canvas) => canvas.dataset.suspect));
  for (const id of suspects.keys()) if (!ids.has(id)) suspects.delete(id);
  for (const canvas of shown) {
    const id = canvas.dataset.suspect;
    if (!suspects.has(id)) {
      const answer = await fetch(`api/frame/${encodeURIComponent(machine)}/${encodeURIComponent(canvas.dataset.of)}/${encodeURIComponent(id)}`,
        { headers: { Authorization: `Bearer ${token}` }, cache: "no-store", signal: AbortSignal.timeout(12000) });
      if (answer.status === 401) return refused();
      if (!answer.ok) continue;
      suspects.set(id, await createImageBitmap(await answer.blob()));
    }
    if (canvas.dataset.drawn !== id) canvas.getContext("2d").drawImage(suspects.get(id), 0, 0, canvas.width, canvas.height);
    canvas.dataset.drawn = id;
  }
  return undefined;
}

function draw(canvas, camera, bitmap) {
  const pen = canvas.getContext("2d");
  pen.clearRect(0, 0, canvas.width, canvas.height);
  if (bitmap) pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const [left, top, wide, high] = camera.crop;
  const place = (x, y, w, h2) => [canvas.width * (left + wide * x), canvas.height * (top + high * y), canvas.width * wide * w, canvas.height * high * h2];
  const levels = camera.map ? Uint8Array.from(atob(camera.map), (letter) => letter.charCodeAt(0)) : [];
  levels.forEach((level, at) => {
    if (level < (camera.parts === null ? LEAST : LEAST_OF_PART)) return;
    pen.fillStyle = `rgb(255 40 30 / ${Math.min(0.55, level / 255)})`;
    pen.fillRect(...place((at % MAP) / MAP, Math.floor(at / MAP) / MAP, 1 / MAP, 1 / MAP));
  });
  pen.lineWidth = 3;
  pen.strokeStyle = "#ffd400";
  for (const box of camera.boxes) pen.strokeRect(...place(box.x, box.y, box.width, box.height));
}
