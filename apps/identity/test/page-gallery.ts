// Every page in every state, with texts of one's choice in all places where people or clients can put text.

import { accountPage } from "../src/pages/account-page.ts";
import { consentPage } from "../src/pages/consent-page.ts";
import { accountDeletedPage, deleteAccountPage } from "../src/pages/delete-account-page.ts";
import { errorPage } from "../src/pages/error-page.ts";
import { FRESH_FORM } from "../src/pages/form-state.ts";
import { registerPage, registrationClosedPage } from "../src/pages/register-page.ts";
import {
  newPasswordPage,
  resetDonePage,
  resetRequestPage,
  resetSentPage,
} from "../src/pages/reset-pages.ts";
import { signInPage } from "../src/pages/sign-in-page.ts";
import { signedOutPage, signOutPage } from "../src/pages/sign-out-pages.ts";
import { verifyPage } from "../src/pages/verify-page.ts";

const NOW_MS = Date.UTC(2026, 10, 23, 9, 20);
const HOUR_MS = 3_600_000;

/** @param text maps an ordinary text to what is to stand in its place */
export function pageGallery(text: (ordinary: string) => string = (ordinary) => ordinary) {
  const formToken = text("J3pW0yq1kq3Nw7c2pWmJXn0H1v6iQbq3hB5xJ8l2f0E");
  const login = text("ada@example.org");
  const sent = (problems: Record<string, string>) => ({
    problems,
    values: {
      login,
      loginName: text("ada"),
      email: login,
      displayName: text("Ada"),
      code: text("1234"),
    },
    retryAfterSeconds: 8,
  });
  const signIn = {
    action: "/interaction/x/sign-in",
    formToken,
    resetUrl: "/reset",
    cancelUrl: "/interaction/x/cancel",
  };
  const account = {
    formToken,
    form: FRESH_FORM,
    sentForm: undefined,
    loginName: text("ada"),
    displayName: text("Ada Lovelace"),
    email: login,
    isEmailVerified: true,
    pendingEmail: undefined,
    sessions: [
      {
        id: text("s1"),
        device: text("Firefox on Linux"),
        startedAtMs: NOW_MS - HOUR_MS,
        lastUsedAtMs: NOW_MS,
        isCurrent: true,
      },
      {
        id: text("s2"),
        device: text("Safari on iPhone"),
        startedAtMs: NOW_MS - 200 * HOUR_MS,
        lastUsedAtMs: NOW_MS - 5 * HOUR_MS,
        isCurrent: false,
      },
      {
        id: text("s3"),
        device: text("Chrome on Windows"),
        startedAtMs: NOW_MS - 900 * HOUR_MS,
        lastUsedAtMs: NOW_MS - 80 * HOUR_MS,
        isCurrent: false,
      },
    ],
    signOutUrl: "/sign-out",
    nowMs: NOW_MS,
  };
  return {
    "sign-in": signInPage({
      ...signIn,
      form: FRESH_FORM,
      clientName: text("Tasks"),
      registerUrl: "/register?continue=%2Finteraction%2Fx",
    }),
    "sign-in-refused": signInPage({
      ...signIn,
      form: sent({ form: "credentials" }),
      clientName: text("Tasks"),
      registerUrl: "/register",
    }),
    "sign-in-wait": signInPage({
      ...signIn,
      form: sent({ form: "wait" }),
      clientName: undefined,
      registerUrl: undefined,
    }),
    "sign-in-again": signInPage({
      ...signIn,
      form: FRESH_FORM,
      clientName: text("Bank"),
      login,
      isAgain: true,
      registerUrl: undefined,
    }),
    "sign-in-ways": signInPage({
      ...signIn,
      form: FRESH_FORM,
      clientName: text("Bank"),
      registerUrl: "/register",
      otherWays: [{ label: text("Another way"), action: "/interaction/x/other" }],
    }),
    register: registerPage({
      formToken,
      form: FRESH_FORM,
      continueTo: undefined,
      signInUrl: "/account",
    }),
    "register-refused": registerPage({
      formToken,
      form: sent({ loginName: "name-taken", email: "email-shape", password: "common" }),
      continueTo: text("/interaction/x"),
      signInUrl: "/interaction/x",
    }),
    "register-closed": registrationClosedPage({ signInUrl: "/account" }),
    consent: consentPage({
      action: "/interaction/x/consent",
      formToken,
      clientName: text("Task board"),
      clientHost: text("board.example"),
      loginName: text("ada"),
      permissions: [
        text("See who you are"),
        text("Read your tasks"),
        text("Add and change your tasks"),
      ],
    }),
    "sign-out": signOutPage({
      action: "/session/end/confirm",
      fields: { xsrf: text("abc") },
      clientName: text("Tasks"),
      confirm: { name: "logout", value: "yes" },
    }),
    "signed-out": signedOutPage({
      signInUrl: "/account",
      continueTo: { name: text("Tasks"), url: "http://localhost:8080/" },
    }),
    reset: resetRequestPage({
      continueTo: text("/sign-in/x"),
      formToken,
      form: FRESH_FORM,
      signInUrl: "/account",
    }),
    "reset-expired": resetRequestPage({
      continueTo: text("/sign-in/x"),
      formToken,
      form: sent({ form: "link-expired" }),
      signInUrl: "/account",
    }),
    "reset-sent": resetSentPage({ signInUrl: "/account" }),
    "reset-new": newPasswordPage({
      loginName: text("ada"),
      formToken,
      form: sent({ password: "too-short" }),
    }),
    "reset-done": resetDonePage({ signInUrl: "/account" }),
    verify: verifyPage({
      formToken,
      form: { ...FRESH_FORM, notice: "code-sent" },
      email: login,
      laterUrl: "/account",
      continueTo: text("/x"),
    }),
    "verify-refused": verifyPage({
      formToken,
      form: sent({ code: "code-wrong" }),
      email: login,
      laterUrl: "/account",
      continueTo: undefined,
    }),
    account: accountPage(account),
    "account-changing": accountPage({
      ...account,
      form: sent({ current: "wrong-password" }),
      sentForm: "password",
      isEmailVerified: false,
      pendingEmail: text("new@example.org"),
    }),
    "account-notice": accountPage({
      ...account,
      form: { ...FRESH_FORM, notice: "password" },
      sentForm: "account",
      email: undefined,
    }),
    "account-problems": accountPage({
      ...account,
      form: sent({ email: "email-same", displayName: "display-name", password: "wait" }),
      sentForm: "email",
    }),
    "delete-account": deleteAccountPage({ formToken, form: FRESH_FORM, loginName: text("ada") }),
    "account-deleted": accountDeletedPage(),
    error: errorPage({
      title: text("This request is not complete"),
      message: text("The application sent you here with a parameter that we do not know."),
      errorId: text("3f0c9c1e-6a1e-4f0e-9a1c-0d7a5d7f3c11"),
      back: { label: text("Back"), url: "/account" },
    }),
  };
}
