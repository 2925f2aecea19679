import { MAX_PASSWORD_LENGTH, MIN_PASSWORD_LENGTH } from "../people/password-rules.ts";
import type { FormState } from "./form-state.ts";

/** What a person reads below a field, or above the form for the field `form`. Unknown codes say nothing in particular. */
export function problemText(state: FormState, field: string): string | undefined {
  const code = state.problems[field];
  if (code === undefined) return undefined;
  if (code === "wait") {
    return `Too many attempts. Please wait ${spell(state.retryAfterSeconds ?? 60)}, then try again.`;
  }
  return TEXTS[code] ?? "This was not accepted. Please check it and try again.";
}

/** What a person reads after something went well. */
export const noticeText = (state: FormState): string | undefined =>
  state.notice === undefined ? undefined : NOTICES[state.notice];

const TEXTS: Readonly<Record<string, string>> = {
  credentials: "The name or the password is not right.",
  "wrong-password": "This is not your current password.",
  busy: "We are busy at the moment. Please try again in a few seconds.",
  "name-shape":
    "3 to 32 letters a–z, digits, dots, hyphens or underscores; a letter or digit first and last.",
  "name-taken": "This name is taken. Please choose another one.",
  "display-name": "1 to 64 characters that can be seen.",
  "email-shape": "This does not look like an e-mail address.",
  "email-taken": "This address already belongs to another account.",
  "email-same": "This is your address already, and it is confirmed.",
  "email-budget": "We have sent several letters lately. Please try again in an hour.",
  "too-short": `At least ${MIN_PASSWORD_LENGTH} characters, please.`,
  "too-long": `At most ${MAX_PASSWORD_LENGTH} characters, please.`,
  common: "This password is among those that attackers try first. Please choose another one.",
  personal: "This is too close to your name or address. Please choose another one.",
  repeated: "This repeats the same few characters. Please choose another one.",
  "code-wrong": "This is not the code that we sent.",
  "code-expired": "This code no longer works. Please ask for a new one.",
  "link-expired": "This link was used already, or is too old. Please ask for a new one.",
  "no-email": "There is no address to confirm.",
};

const NOTICES: Readonly<Record<string, string>> = {
  password: "Your password is changed, and your other sessions are ended.",
  name: "Your name is changed.",
  verified: "Thank you, your e-mail address is confirmed.",
  "code-sent": "We have sent you a code. It works for 30 minutes.",
  "session-ended": "The session is ended.",
  "others-ended": "All your other sessions are ended.",
};

const spell = (seconds: number): string => {
  if (seconds < 90) return seconds === 1 ? "a second" : `${seconds} seconds`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 90 ? `${minutes} minutes` : `${Math.ceil(minutes / 60)} hours`;
};
