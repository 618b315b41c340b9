// The page, built into the static assets of the Worker.

import { defineConfig } from "vite";

export default defineConfig({
  root: import.meta.dirname,
  // The API is elsewhere on the same origin; wrangler serves what is built.
  appType: "spa",
  build: {
    outDir: "build",
    emptyOutDir: true,
    target: "es2023",
    // The polyfill would be the only script that is not ours.
    modulePreload: { polyfill: false },
    // Data URLs are refused by the page's policy.
    assetsInlineLimit: 0,
  },
});
