// What is shown, kept in the address, so that it can be shared: the page's own, or that of the page whose frame it is in.

/** The window whose address people see: that of Airflow's UI around the frame, where there is one of this host. */
export function seenWindow() {
  if (window.parent === window) return window;
  try {
    void window.parent.document.body;
    return window.parent;
  } catch {
    return window; // a frame on a page of another host
  }
}

export function readAddress() {
  return Object.fromEntries(new URLSearchParams(seenWindow().location.search));
}

/** Set what is shown; other people's parameters of the address stay. `known` names ours. */
export function writeAddress(values, known) {
  const seen = seenWindow();
  const address = new URL(seen.location.href);
  for (const name of known) address.searchParams.delete(name);
  for (const [name, value] of Object.entries(values)) address.searchParams.set(name, value);
  try {
    seen.history.replaceState(seen.history.state, "", address);
  } catch {
    // A viewer of files may give the page no address of its own.
  }
}
