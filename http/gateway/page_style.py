"""The style of the gateway's pages: light and dark, from a phone to a wide screen."""

from typing import Final

STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2430; --quiet: #566174; --paper: #fff;
  --tint: #f3f5f8; --line: #d6dbe3; --link: #0b57b0; --get: #0a6640; --post: #0b57b0;
  --put: #8a4b00; --delete: #a61b1b; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaf0; --quiet: #a3adbd; --paper: #12161d; --tint: #1b212b;
    --line: #333c4a; --link: #8ab8ff; --get: #6bd6a4; --post: #8ab8ff; --put: #f0b166;
    --delete: #ff9a9a; } }
* { box-sizing: border-box; }
body { margin: 0; font: 1rem/1.55 system-ui, sans-serif; color: var(--ink);
  background: var(--paper); }
header, main, nav { padding: 1rem clamp(1rem, 4vw, 2.5rem); }
main { max-width: 60rem; overflow-wrap: break-word; }
a { color: var(--link); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; border-radius: 2px; }
.skip { position: absolute; left: -100vw; background: var(--paper); padding: .5rem 1rem; }
.skip:focus { left: 0; z-index: 2; }
h1 { font-size: 1.8rem; margin: .5rem 0; }
h2 { font-size: 1.15rem; margin: 1.4rem 0 .4rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
h4 { font-size: .95rem; margin: .9rem 0 .2rem; color: var(--quiet); }
nav ul { list-style: none; margin: 0; padding: 0; font-size: .9rem; }
nav li a { display: block; padding: .3rem 0; text-decoration: none; overflow-wrap: anywhere; }
nav li a:hover { text-decoration: underline; }
section { border-top: 1px solid var(--line); padding: .5rem 0 1.5rem; scroll-margin-top: 1rem; }
code, pre { font: .88rem/1.5 ui-monospace, monospace; }
pre { background: var(--tint); border: 1px solid var(--line); border-radius: .4rem;
  padding: .8rem; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .7rem .35rem 0;
  border-bottom: 1px solid var(--line); }
th { color: var(--quiet); font-weight: 600; }
.quiet { color: var(--quiet); }
.required { color: var(--delete); font-size: .8rem; }
.method { font: 700 .78rem/1 ui-monospace, monospace; color: var(--ink); }
.get { color: var(--get); } .post { color: var(--post); } .put { color: var(--put); }
.delete { color: var(--delete); }
summary { cursor: pointer; margin: .8rem 0; color: var(--link); }
@media (min-width: 64rem) {
  body { display: grid; grid-template-columns: 25rem 1fr; grid-template-rows: auto 1fr; }
  header { grid-column: 2; grid-row: 1; }
  nav { grid-column: 1; grid-row: 1 / 3; position: sticky; top: 0; max-height: 100vh;
    overflow-y: auto; border-right: 1px solid var(--line); }
  main { grid-column: 2; } }
@media (max-width: 40rem) { td { overflow-wrap: anywhere; } }
@media (prefers-reduced-motion: no-preference) { html { scroll-behavior: smooth; } }
"""
