// A chart as a picture that can stand alone: with its title, legend, source and date.

import { svgEl } from "./dom.js";
import { FONT, hatchPattern } from "./draw.js";

const EDGE = 20;
const SCALE = 2;

/** A PNG of a drawn chart: `svg`, and what is written around it. */
export async function pictureOf(svg, { theme, title, subtitle, legend, footer }) {
  const size = { width: Math.max(Number(svg.getAttribute("width")), 480), height: Number(svg.getAttribute("height")) };
  const whole = svgEl("svg", { xmlns: "http://www.w3.org/2000/svg", "font-family": FONT });
  let y = EDGE;
  const write = (text, fontSize, fill, weight = 400) => {
    for (const line of wrapped(text, size.width, fontSize, weight)) {
      y += fontSize * 1.35;
      whole.append(svgEl("text", { x: EDGE, y, fill, "font-size": fontSize, "font-weight": weight }, line));
    }
  };
  const background = svgEl("rect", { width: "100%", height: "100%", fill: theme.surface });
  whole.append(svgEl("defs", {}, hatchPattern(theme)), background);
  write(title, 18, theme.ink, 600);
  write(subtitle, 13, theme.muted);
  y = legendRows(whole, legend, size.width, y, theme) + 10;
  const chart = svg.cloneNode(true);
  chart.setAttribute("x", EDGE);
  chart.setAttribute("y", y);
  whole.append(chart);
  y += size.height + 4;
  write(footer, 11, theme.muted);
  const [width, height] = [size.width + 2 * EDGE, Math.ceil(y + EDGE)];
  whole.setAttribute("width", width);
  whole.setAttribute("height", height);
  whole.setAttribute("viewBox", `0 0 ${width} ${height}`);
  return rasterized(new XMLSerializer().serializeToString(whole), width, height);
}

function measure(text, fontSize, weight = 400) {
  const context = document.createElement("canvas").getContext("2d");
  context.font = `${weight} ${fontSize}px ${FONT}`;
  return context.measureText(text).width;
}

function wrapped(text, width, fontSize, weight) {
  const lines = [];
  for (const word of text.split(" ")) {
    const longer = lines.length ? `${lines.at(-1)} ${word}` : word;
    if (lines.length && measure(longer, fontSize, weight) <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

function legendRows(whole, legend, width, top, theme) {
  if (!legend.length) return top;
  let [x, y] = [EDGE, top + 18];
  for (const { name, colour, line } of legend) {
    const needed = 18 + measure(name, 12) + 16;
    if (x > EDGE && x + needed > EDGE + width) [x, y] = [EDGE, y + 18];
    const shape = line === "diamond" ? "m6 -6l6 6l-6 6l-6 -6z" : line ? "m0 -1.5h12v3h-12z" : "m0 -6h12v12h-12z";
    whole.append(
      svgEl("path", { d: `M${x} ${y - 4}${shape}`, fill: colour === "hatch" ? "url(#hatch)" : colour }),
      svgEl("text", { x: x + 18, y, fill: theme.ink, "font-size": 12 }, name),
    );
    x += needed;
  }
  return y;
}

async function rasterized(text, width, height) {
  const address = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  try {
    const image = new Image();
    image.src = address;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width * SCALE, height * SCALE];
    const context = canvas.getContext("2d");
    context.scale(SCALE, SCALE);
    context.drawImage(image, 0, 0, width, height);
    return await new Promise((resolve, reject) => {
      canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture"))), "image/png");
    });
  } finally {
    URL.revokeObjectURL(address);
  }
}
