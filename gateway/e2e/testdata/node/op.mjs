// An OpenID provider for end-to-end tests: oidc-provider, a certified one, with
// two accounts, a sign-in page that asks for no password, and everything in
// memory. OP_OPTIONS says how (see oidcprovider.go, which starts it).
//
// Besides what the specifications ask for it answers
//
//   GET  /test/counts              how often each thing was asked for
//   POST /test/behaviour           {"token_delay_ms": 800, "token_status": 503, "refuse": "invalid_grant"}
//   POST /test/logout?account=bob  ends bob's sessions here, with &oldest=1 the oldest of them, and tells
//                                  the clients (Back-Channel Logout 1.0)
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import Provider, { interactionPolicy } from "oidc-provider";

const options = JSON.parse(process.env.OP_OPTIONS);
const counts = {
  authorization: 0, par: 0, s256: 0, login: 0, end_session: 0, revocation: 0, introspection: 0, userinfo: 0,
  token_pending: 0, token: {}, refused: {}, backchannel: { ok: 0, failed: 0 },
};
let behaviour = {};

// Everything that the provider remembers, by model.
const models = new Map();
class Memory {
  constructor(name) {
    this.all = new Map();
    models.set(name, this.all);
  }
  async upsert(id, payload) { this.all.set(id, payload); }
  async find(id) { return this.all.get(id); }
  async findByUid(uid) { return [...this.all.values()].find((p) => p.uid === uid); }
  async findByUserCode() { return undefined; }
  async destroy(id) { this.all.delete(id); }
  async consume(id) { this.all.get(id).consumed = Math.floor(Date.now() / 1000); }
  async revokeByGrantId(grant) {
    for (const [id, p] of this.all) if (p.grantId === grant) this.all.delete(id);
  }
}

const policy = interactionPolicy.base();
policy.add(new interactionPolicy.Prompt({ name: "select_account", requestable: true }), 0);

const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" });
const groups = (n) => Array.from({ length: n }, (_, i) => `group-${String(i).padStart(4, "0")}`);
const people = {
  alice: { name: "Alice", email: "alice@example.com", groups: ["staff", "admin"] },
  bob: { name: "Bob", email: "bob@example.com", groups: ["staff"] },
};

const provider = new Provider(options.issuer, {
  adapter: Memory,
  clients: options.clients,
  jwks: { keys: [{ ...key, kid: randomBytes(8).toString("hex"), use: "sig", alg: "RS256" }] },
  cookies: { keys: [randomBytes(16).toString("hex")] },
  scopes: ["openid", "profile", "email", "offline_access"],
  claims: { openid: ["sub"], profile: ["name", "preferred_username", "groups", "bulk"], email: ["email", "email_verified"], acr: null, amr: null, auth_time: null, sid: null },
  acrValues: ["pwd", "mfa"],
  conformIdTokenClaims: false, // the claims of the scopes are in the ID token too
  clientDefaults: { id_token_signed_response_alg: "RS256" },
  pkce: { required: () => true },
  features: {
    devInteractions: { enabled: false },
    backchannelLogout: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    pushedAuthorizationRequests: { enabled: options.par !== "", requirePushedAuthorizationRequests: options.par === "required" },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (ctx, form) => {
        ctx.body = page("Sign out", `${form}<button form="op.logoutForm" name="logout" value="yes">Yes, sign me out</button>`);
      },
      postLogoutSuccessSource: (ctx) => { ctx.body = page("Signed out of the provider", ""); },
    },
  },
  interactions: { policy, url: (_, interaction) => `/interaction/${interaction.uid}` },
  formats: { bitsOfOpaqueRandomness: (_, token) => (/^(Access|Refresh)Token$/.test(token.kind) ? options.token_bytes * 6 : 256) },
  findAccount: (_, id) => people[id] && {
    accountId: id,
    claims: () => ({
      sub: id, preferred_username: id, email_verified: true, ...people[id],
      ...(options.groups && { groups: groups(options.groups) }), ...(options.bulk_bytes && { bulk: "b".repeat(options.bulk_bytes) }),
    }),
  },
  // Consent is given without being asked for.
  loadExistingGrant: async (ctx) => {
    const { client, session, requestParamScopes } = ctx.oidc;
    const id = session.grantIdFor(client.clientId);
    const known = id && await provider.Grant.find(id); // it may have been revoked
    if (known) return known;
    const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope([...requestParamScopes, "offline_access"].join(" "));
    await grant.save();
    return grant;
  },
  issueRefreshToken: (_, client) => client.grantTypeAllowed("refresh_token"),
  rotateRefreshToken: true, // each can be used once; a second use revokes the whole grant
  expiresWithSession: () => false,
  ttl: {
    AccessToken: options.access_token_seconds, AuthorizationCode: 60, IdToken: 3600, Interaction: 3600,
    Grant: 86400, Session: 86400, RefreshToken: 86400,
  },
  fetch: (url, { dispatcher, ...rest }) => globalThis.fetch(url, rest), // its dispatcher keeps away from loopback
  renderError: (ctx, out) => {
    ctx.type = "html";
    ctx.body = page("Provider error", `<pre>${Object.values(out).map(escape).join("\n")}</pre>`);
  },
});

const escape = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
function page(title, body) {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><h1>${title}</h1>${body}</html>`;
}

provider.on("backchannel.success", () => { counts.backchannel.ok++; });
provider.on("backchannel.error", (_, err) => { counts.backchannel.failed++; console.error(err.message); });
provider.on("server_error", (_, err) => console.error(err));
provider.on("grant.error", (ctx, err) => {
  console.error(`token: ${err.error}: ${err.error_description} ${err.error_detail ?? ""}`);
  counts.refused[err.error] = (counts.refused[err.error] ?? 0) + 1;
});
provider.on("authorization.error", (_, err) => console.error(`authorization: ${err.error}: ${err.error_description}`));

async function body(req) {
  let text = "";
  for await (const chunk of req) text += chunk;
  return text;
}

// The pages and what tests ask for come before the provider's own endpoints.
provider.use(async (ctx, next) => {
  const [, area, what] = ctx.path.split("/");
  if (area === "interaction") return interact(ctx);
  if (area !== "test") return watch(ctx, next);
  if (what === "counts") ctx.body = counts;
  if (what === "behaviour") {
    behaviour = JSON.parse(await body(ctx.req));
    ctx.status = 204;
  }
  if (what === "logout") {
    await logout(ctx.query.account, ctx.query.oldest);
    ctx.status = 204;
  }
});

async function interact(ctx) {
  const { uid, params } = await provider.interactionDetails(ctx.req, ctx.res);
  if (ctx.method === "GET") {
    ctx.type = "html";
    ctx.body = page("Who are you?", `<form method="post">${Object.keys(people)
      .map((id) => `<button name="account" value="${id}">${people[id].name}</button>`).join("")}</form>`);
    return;
  }
  const form = new URLSearchParams(await body(ctx.req));
  counts.login++;
  const wanted = params.acr_values?.split(" ") ?? [];
  const acr = options.ignore_acr || !wanted.includes("mfa") ? "pwd" : "mfa";
  const login = { accountId: form.get("account"), acr, amr: acr === "mfa" ? ["pwd", "otp"] : ["pwd"] };
  const result = form.has("cancel") ? { error: "access_denied" } : { login, select_account: {} };
  ctx.status = 303;
  ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, result));
  console.log(`interaction ${uid}: ${form.get("account") ?? "cancelled"}`);
}

// watch counts what clients and browsers ask for, and misbehaves as told.
async function watch(ctx, next) {
  const now = behaviour;
  if (ctx.path === "/token" && now.token_status) {
    await delay(now.token_delay_ms);
    counts.refused[now.token_status] = (counts.refused[now.token_status] ?? 0) + 1;
    ctx.status = now.token_status;
    ctx.set("Retry-After", "1");
    ctx.body = { error: now.refuse };
    return;
  }
  await next();
  const { route, params } = ctx.oidc ?? {};
  seen(params, ["code", "state", "nonce", "code_verifier", "refresh_token", "client_assertion", "token", "id_token_hint"]);
  if (route === "token") seen(ctx.body, ["access_token", "refresh_token", "id_token"]);
  if (route === "authorization") counts.authorization++;
  if (route === "pushed_authorization_request" && ctx.status === 201) counts.par++;
  if ((route === "authorization" || route === "pushed_authorization_request") && params?.code_challenge_method === "S256") counts.s256++;
  if (route === "end_session" || route === "revocation" || route === "introspection" || route === "userinfo") counts[route]++;
  if (route === "token" && ctx.status === 200) counts.token[params.grant_type] = (counts.token[params.grant_type] ?? 0) + 1;
  if (route === "token") await delay(now.token_delay_ms); // what is done is done: only the answer is late
}

// seen tells the tests of secrets, which must be in nothing that gateways write.
function seen(values, names) {
  const lines = names.filter((name) => typeof values?.[name] === "string").map((name) => `${name} ${values[name]}\n`);
  if (process.env.OP_SECRETS && lines.length > 0) appendFileSync(process.env.OP_SECRETS, lines.join(""));
}

async function delay(ms) {
  if (!ms) return;
  counts.token_pending++;
  await sleep(ms);
  counts.token_pending--;
}

// logout is what an administrator of the provider does to an account.
async function logout(account, oldest) {
  for (const [id, payload] of [...(models.get("Session") ?? [])]) {
    if (payload.accountId !== account) continue;
    models.get("Session").delete(id);
    for (const [clientId, { sid }] of Object.entries(payload.authorizations ?? {})) {
      const client = await provider.Client.find(clientId);
      if (!client?.backchannelLogoutUri) continue;
      await client.backchannelLogout(account, sid).then(
        () => { counts.backchannel.ok++; },
        (err) => { counts.backchannel.failed++; console.error(err.message); },
      );
    }
    if (oldest) return;
  }
}

provider.listen(options.port, "127.0.0.1", () => console.log(`provider at ${options.issuer}`));
