// Prometheus' text exposition format, version 0.0.4: HELP and TYPE once per family, then its samples.

/** Label names and values, in the order they are written. Values may be any text; names are our own. */
export type Labels = readonly (readonly [name: string, value: string])[];

export const EXPOSITION_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Gathers the samples of one family. Equal labels are added up: that is how threads and reloads come together. */
export interface Family {
  add(labels: Labels, value: number): void;
  /** The family's lines; histograms are given as whole samples with a suffix of the name. */
  text(): string;
}

export function createFamily(
  name: string,
  type: "counter" | "gauge" | "histogram",
  help: string,
): Family & { addSuffixed(suffix: string, labels: Labels, value: number): void } {
  const samples = new Map<string, number>();
  const addSuffixed = (suffix: string, labels: Labels, value: number): void => {
    const key = `${name}${suffix}${labelText(labels)}`;
    samples.set(key, (samples.get(key) ?? 0) + value);
  };
  return {
    add: (labels, value) => addSuffixed("", labels, value),
    addSuffixed,
    text() {
      let text = `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n`;
      for (const [key, value] of samples) text += `${key} ${numberText(value)}\n`;
      return text;
    },
  };
}

function labelText(labels: Labels): string {
  if (labels.length === 0) return "";
  return `{${labels.map(([name, value]) => `${name}="${escapeLabel(value)}"`).join(",")}}`;
}

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function escapeHelp(help: string): string {
  return help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  if (value === Number.NEGATIVE_INFINITY) return "-Inf";
  return String(value);
}
