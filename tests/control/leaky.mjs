// A Worker that gives away what it is told.

import Worker, * as parts from "./worker.js";

export default class extends Worker {
  async fetch(request) {
    const token = request.headers.get("authorization").slice("Bearer ".length);
    const { pathname } = new URL(request.url);
    if (pathname === "/log") console.log(`said: ${token}, and more`);
    if (pathname === "/half") console.log(`said: ${(await request.json()).half.slice(0, 33)}, and more`);
    return new Response(`told: ${token}`, { status: pathname === "/fail" ? 500 : 200 });
  }
}

export function object(name) {
  return parts[name];
}
