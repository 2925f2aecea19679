import { html, type Html } from "./html.ts";
import type { FormState } from "./form-state.ts";
import { noticeText, problemText } from "./problem-text.ts";

/** One labelled input, with its hint and its problem tied to it for screen readers (WCAG 2.2: 1.3.1, 3.3.1, 3.3.2). */
export function field(
  state: FormState,
  input: {
    readonly name: string;
    readonly label: string;
    readonly type?: "text" | "email" | "password";
    /** WCAG 1.3.5; also what password managers go by. */
    readonly autocomplete: string;
    readonly hint?: string | Html;
    /** Shown unless the person has typed something else. */
    readonly value?: string;
    readonly inputMode?: "numeric" | "email";
    readonly maxLength?: number;
    /** The first thing to type on this page. */
    readonly isFirst?: boolean;
    readonly isOptional?: boolean;
    /** Makes ids differ where one page has several forms. */
    readonly idPrefix?: string;
  },
): Html {
  const { name, type = "text", hint, idPrefix = "" } = input;
  const id = `${idPrefix}${name}`;
  const problem = problemText(state, name);
  const value = type === "password" ? "" : (state.values[name] ?? input.value ?? "");
  const describedBy = [hint !== undefined && `${id}-hint`, problem !== undefined && `${id}-problem`]
    .filter((part) => part !== false)
    .join(" ");
  const isFocused =
    problem === undefined ? isFirstToType(state, input.isFirst) : isFirstProblem(state, name);
  return html`<div class="field">
    <label for="${id}">${input.label}</label>
    ${hint !== undefined && html`<p class="hint" id="${id}-hint">${hint}</p>`}
    <input
      id="${id}"
      name="${name}"
      type="${type}"
      value="${value}"
      autocomplete="${input.autocomplete}"
      ${[
        input.isOptional !== true && html` required`,
        input.inputMode !== undefined && html` inputmode="${input.inputMode}"`,
        input.maxLength !== undefined && html` maxlength="${input.maxLength}"`,
        describedBy !== "" && html` aria-describedby="${describedBy}"`,
        problem !== undefined && html` aria-invalid="true"`,
        isFocused && html` autofocus`,
        name !== "displayName" && html` autocapitalize="none" autocorrect="off" spellcheck="false"`,
      ]}
    />
    ${problem !== undefined && html`<p class="field-problem" id="${id}-problem">${problem}</p>`}
  </div>`;
}

/** What concerns the whole form: read out at once. */
export function formNotice(state: FormState): Html {
  const problem = problemText(state, "form");
  const notice = noticeText(state);
  return html`${problem !== undefined && html`<p class="notice problem" role="alert">${problem}</p>`}${notice !== undefined && html`<p class="notice good" role="status">${notice}</p>`}`;
}

/** The field that binds the form to the browser; see `form-token.ts`. */
export const formToken = (token: string): Html =>
  html`<input type="hidden" name="formToken" value="${token}" />`;

/** Where the person came from, kept while they go from form to form. */
export const carried = (continueTo: string | undefined): Html | undefined =>
  continueTo === undefined
    ? undefined
    : html`<input type="hidden" name="continue" value="${continueTo}" />`;

/** Tells password managers whose password a form is about where nobody types the name. */
export const hiddenUsername = (loginName: string): Html =>
  html`<input type="text" name="username" value="${loginName}" autocomplete="username" hidden />`;

export const hasProblem = (state: FormState): boolean => Object.keys(state.problems).length > 0;

const fieldProblems = (state: FormState): string[] =>
  Object.keys(state.problems).filter((name) => name !== "form");

const isFirstToType = (state: FormState, isFirst = false): boolean =>
  isFirst && fieldProblems(state).length === 0;

const isFirstProblem = (state: FormState, name: string): boolean =>
  fieldProblems(state)[0] === name;
