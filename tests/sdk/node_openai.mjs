// The official `openai` package for Node against a running server.
//
// Environment: OPENAI_BASE_URL (`http://127.0.0.1:8888/v1`), OPENAI_API_KEY, MAJORDOMO_TEST_NODE_MODULES (the folder
// that holds `openai`), MAJORDOMO_TEST_MODELS and MAJORDOMO_TEST_EMBEDDERS, comma-separated lists of `provider/model`
// names. What the models behind them must do is told in `python_openai.py`.
//
// Prints `ok <check>` for each check; exits with 1 at the first that fails.

import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(path.resolve(process.env.MAJORDOMO_TEST_NODE_MODULES), "index.js"));
const { OpenAI } = require(path.join(path.resolve(process.env.MAJORDOMO_TEST_NODE_MODULES), "openai"));

const PIXEL =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=";
const TOOL = {
  type: "function",
  function: {
    name: "add",
    description: "Adds two numbers.",
    parameters: {
      type: "object",
      properties: { a: { type: "integer" }, b: { type: "integer" } },
      required: ["a", "b"],
    },
  },
};

const client = new OpenAI({ maxRetries: 0, timeout: 30_000 });
const models = process.env.MAJORDOMO_TEST_MODELS.split(",").filter(Boolean);
const embedders = process.env.MAJORDOMO_TEST_EMBEDDERS.split(",").filter(Boolean);
const user = (text) => [{ role: "user", content: text }];
const create = (body) => client.chat.completions.create(body);

function check(name, condition, seen) {
  if (!condition) {
    console.error(`FAILED ${name}:`, JSON.stringify(seen));
    process.exit(1);
  }
  console.log(`ok ${name}`);
}

async function rejects(name, kind, act) {
  try {
    check(name, false, await act());
  } catch (error) {
    check(name, error instanceof kind, { name: error.constructor.name, message: error.message });
    return error;
  }
}

async function listModels() {
  const known = [];
  for await (const model of client.models.list()) known.push(model.id);
  const wanted = ["majordomo", ...models, ...models.map((model) => `majordomo/${model}`)];
  check("models.list", wanted.every((name) => known.includes(name)), known);
  for (const name of wanted) {
    const model = await client.models.retrieve(name);
    check(`models.retrieve ${name}`, model.id === name && model.object === "model", model);
  }
  const error = await rejects("models.retrieve unknown", OpenAI.NotFoundError, () => client.models.retrieve("no/such"));
  check("models.retrieve unknown code", error.code === "model_not_found", error.error);
}

async function chat(model) {
  const answer = await create({ model, messages: user("ECHO Hello there") });
  const [choice] = answer.choices;
  check(`${model} chat`, choice.message.content.trim() === "Hello there" && choice.finish_reason === "stop", answer);
  const { prompt_tokens, completion_tokens, total_tokens } = answer.usage;
  check(`${model} chat usage`, total_tokens === prompt_tokens + completion_tokens, answer.usage);
}

async function stream(model) {
  const events = await create({
    model,
    messages: user("ECHO one two three"),
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = "";
  let usage = null;
  const reasons = [];
  for await (const chunk of events) {
    usage = chunk.usage ?? usage;
    for (const choice of chunk.choices) {
      text += choice.delta.content ?? "";
      if (choice.finish_reason) reasons.push(choice.finish_reason);
    }
  }
  check(`${model} stream`, text.trim() === "one two three" && reasons.join() === "stop", { text, reasons });
  check(`${model} stream usage`, usage?.completion_tokens > 0, usage);
  const helped = await client.chat.completions.stream({ model, messages: user("ECHO helped along") }).finalContent();
  check(`${model} stream helper`, helped.trim() === "helped along", helped);
}

async function tools(model) {
  const messages = user('CALL add {"a": 2, "b": 3}');
  let answer = await create({ model, messages, tools: [TOOL], tool_choice: "auto" });
  const { message, finish_reason } = answer.choices[0];
  check(`${model} tool call`, finish_reason === "tool_calls" && message.tool_calls.length === 1, answer);
  const [call] = message.tool_calls;
  check(`${model} tool call function`, call.function.name === "add" && call.function.arguments.includes('"b"'), call);
  messages.push(message, { role: "tool", tool_call_id: call.id, content: "5" });
  answer = await create({ model, messages, tools: [TOOL] });
  check(`${model} tool result`, answer.choices[0].message.content.trim() === "RESULT: 5", answer);

  const helper = client.chat.completions.stream({ model, messages: messages.slice(0, 1), tools: [TOOL] });
  const streamed = (await helper.finalMessage()).tool_calls;
  check(`${model} streamed tool call`, streamed[0].function.name === "add", streamed);
  check(`${model} streamed arguments`, JSON.parse(streamed[0].function.arguments).a === 2, streamed);
}

async function image(model) {
  const content = [
    { type: "text", text: "ECHO seen" },
    { type: "image_url", image_url: { url: PIXEL, detail: "low" } },
  ];
  const answer = await create({ model, messages: [{ role: "user", content }] });
  check(`${model} image`, answer.choices[0].message.content.trim() === "seen", answer);
}

async function upstreamFailures(model) {
  const kinds = [[429, OpenAI.RateLimitError], [500, OpenAI.InternalServerError], [401, OpenAI.InternalServerError]];
  for (const [status, kind] of kinds) {
    for (const stream of [false, true]) {
      const act = () => create({ model, messages: user(`FAIL ${status}`), stream });
      await rejects(`${model} upstream ${status} stream=${stream}`, kind, act);
    }
  }
}

async function agent() {
  const { data, response } = await client.chat.completions
    .create({ model: "majordomo", messages: user("ECHO from the agent"), user: "node" })
    .withResponse();
  check("agent session", response.headers.get("x-session-id") === "openai-node", response.headers);
  check("agent", data.choices[0].message.content.trim() === "from the agent", data);
  let text = "";
  for await (const chunk of await create({ model: "majordomo", messages: user("ECHO in pieces"), stream: true })) {
    text += chunk.choices[0]?.delta.content ?? "";
  }
  check("agent stream", text.trim() === "in pieces", text);
  const named = await create({
    model: `majordomo/${models[0]}`,
    messages: user('CALL calculator {"expression": "6*7"}'),
    metadata: { session_id: "node-sdk" },
  });
  check("agent tool", named.choices[0].message.content.includes("42"), named);
}

async function embeddings(model) {
  const answer = await client.embeddings.create({ model, input: ["Hello there", "one"] });
  const vectors = answer.data.map((item) => item.embedding.join());
  check(`${model} embeddings`, vectors.join(" ") === "11,2,1 3,1,1", answer);
  const shorter = await client.embeddings.create({ model, input: "one", encoding_format: "float", dimensions: 2 });
  check(`${model} embeddings dimensions`, shorter.data[0].embedding.join() === "3,1", shorter);
  await rejects(`${model} embeddings upstream`, OpenAI.InternalServerError, () =>
    client.embeddings.create({ model, input: "FAIL 503" }),
  );
}

async function failures() {
  const error = await rejects("n=2", OpenAI.BadRequestError, () =>
    create({ model: "majordomo", messages: user("Hi"), n: 2 }),
  );
  check("n=2 body", error.type === "invalid_request_error" && error.param === "n", error.error);
  const wrong = new OpenAI({ apiKey: "wrong", maxRetries: 0 });
  const refused = await rejects("wrong key", OpenAI.AuthenticationError, () => wrong.models.list());
  check("wrong key code", refused.code === "invalid_api_key", refused.error);
}

await listModels();
for (const model of models) {
  await chat(model);
  await stream(model);
  await tools(model);
  await image(model);
  await upstreamFailures(model);
}
for (const model of embedders) await embeddings(model);
await agent();
await failures();
console.log("all ok");
