// Files that the page makes.

import { seenWindow } from "./address.js";

/** Have the browser keep a blob. Airflow's frame may not download: the page around it does. */
export function save(blob, name) {
  const seen = seenWindow();
  const link = seen.document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  seen.document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Open an address in a new tab, which Airflow's frame may not either. */
export function openTab(address) {
  const link = seenWindow().document.createElement("a");
  link.href = address;
  link.target = "_blank";
  link.rel = "noopener";
  link.click();
}

/** Rows as CSV by RFC 4180, with a byte order mark, by which spreadsheets know UTF-8. Absent values are empty. */
export function csvOf(header, rows) {
  const cell = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = [header, ...rows].map((row) => row.map(cell).join(","));
  return new Blob([`\ufeff${lines.join("\r\n")}\r\n`], { type: "text/csv;charset=utf-8" });
}
