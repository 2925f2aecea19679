/**
 * The look of the gateway's own pages: that of the identity provider's, where people come from and go to. One column,
 * system fonts, no image. Colours meet WCAG 2.2 AA in both schemes.
 */
export const BROWSER_PAGE_STYLE = `
:root {
  color-scheme: light dark;
  --ground: #eef2f3;
  --glow: #dbe9ea;
  --card: #ffffff;
  --ink: #14252a;
  --soft: #4b5f66;
  --line: #d5dee0;
  --edge: #7b8e95;
  --accent: #0b6570;
  --accent-strong: #084c55;
  --on-accent: #ffffff;
  --shadow: 0 1px 2px rgb(20 37 42 / 6%), 0 12px 32px rgb(20 37 42 / 8%);
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #0c1517;
    --glow: #12292d;
    --card: #152124;
    --ink: #e6eff0;
    --soft: #a3b5b9;
    --line: #2a3a3e;
    --edge: #6d8388;
    --accent: #62c7d1;
    --accent-strong: #8ddbe3;
    --on-accent: #06282c;
    --shadow: 0 1px 2px rgb(0 0 0 / 40%), 0 12px 32px rgb(0 0 0 / 35%);
  }
}
* { box-sizing: border-box; }
html {
  font: 100%/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif;
  color: var(--ink);
  background: var(--ground);
  -webkit-text-size-adjust: 100%;
  text-size-adjust: 100%;
}
body {
  display: flex;
  flex-direction: column;
  align-items: center;
  min-height: 100vh;
  min-height: 100dvh;
  margin: 0;
  padding: clamp(1.25rem, 7vh, 5rem) 1rem 1.5rem;
  background: radial-gradient(60rem 30rem at 50% -8rem, var(--glow), transparent);
  overflow-wrap: anywhere;
}
header {
  display: flex;
  gap: 0.625rem;
  align-items: center;
  margin-bottom: 1.5rem;
  color: var(--accent);
  font-size: 1.25rem;
  font-weight: 650;
  letter-spacing: -0.01em;
}
header span { color: var(--ink); }
main {
  width: 100%;
  max-width: 26rem;
  padding: clamp(1.25rem, 5vw, 2rem);
  background: var(--card);
  border: 1px solid var(--line);
  border-radius: 0.875rem;
  box-shadow: var(--shadow);
}
h1 {
  margin: 0;
  font-size: 1.5rem;
  line-height: 1.25;
  letter-spacing: -0.015em;
  text-wrap: balance;
}
p { margin: 0.375rem 0 0; color: var(--soft); }
nav { display: grid; gap: 0.75rem; margin-top: 1.375rem; }
a {
  display: flex;
  align-items: center;
  justify-content: center;
  min-height: 2.875rem;
  padding: 0.5rem 1.125rem;
  color: var(--on-accent);
  font-weight: 600;
  text-align: center;
  text-decoration: none;
  background: var(--accent);
  border: 1px solid transparent;
  border-radius: 0.5rem;
}
a:hover { background: var(--accent-strong); }
a.quiet { color: var(--ink); background: transparent; border-color: var(--edge); }
a.quiet:hover { background: var(--ground); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
`;
