"""The official `openai` package for Python against a running server.

Environment: OPENAI_BASE_URL (`http://127.0.0.1:8888/v1`), OPENAI_API_KEY, and MAJORDOMO_TEST_MODELS, a comma-separated
list of `provider/model` names: providers that relay and providers that are translated alike. The models behind them
must do as the last user message says: `ECHO text` answers text, `CALL name {json}` calls a tool and answers
`RESULT: <result>` once it has one, `FAIL status` fails with that status. The agent's default model must do so, too.
MAJORDOMO_TEST_EMBEDDERS lists embedding models likewise; the vector of a text must be its length in bytes, its words, 1.

Prints `ok <check>` for each check; exits with 1 at the first that fails.
"""

import asyncio
import base64
import os
import struct

import openai
from openai import AsyncOpenAI, OpenAI

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)
TOOL = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds two numbers.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
    },
}

client = OpenAI(max_retries=0, timeout=30)
models = [name for name in os.environ["MAJORDOMO_TEST_MODELS"].split(",") if name]
embedders = [name for name in os.environ["MAJORDOMO_TEST_EMBEDDERS"].split(",") if name]


def user(text):
    return [{"role": "user", "content": text}]


def check(name, condition, seen=None):
    if not condition:
        raise SystemExit(f"FAILED {name}: {seen!r}")
    print(f"ok {name}")


def raises(name, kind, act):
    try:
        answer = act()
    except openai.APIError as error:
        check(name, type(error) is kind, error)
        return error
    raise SystemExit(f"FAILED {name}: answered {answer!r}")


def list_models():
    known = [model.id for model in client.models.list()]
    wanted = ["majordomo"] + models + [f"majordomo/{model}" for model in models]
    check("models.list", all(name in known for name in wanted), known)
    for name in wanted:
        model = client.models.retrieve(name)
        check(f"models.retrieve {name}", model.id == name and model.object == "model", model)
    error = raises("models.retrieve unknown", openai.NotFoundError, lambda: client.models.retrieve("no/such"))
    check("models.retrieve unknown code", error.code == "model_not_found", error.body)


def chat(model):
    answer = client.chat.completions.create(model=model, messages=user("ECHO Hello there"))
    choice = answer.choices[0]
    check(f"{model} chat", choice.message.content.strip() == "Hello there", answer)
    check(f"{model} chat finish", choice.finish_reason == "stop" and choice.message.role == "assistant", answer)
    check(f"{model} chat usage", answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens, answer)


def stream(model):
    events = client.chat.completions.create(
        model=model,
        messages=user("ECHO one two three"),
        stream=True,
        stream_options={"include_usage": True},
    )
    text, reasons, usage, ids = "", [], None, set()
    for chunk in events:
        ids.add(chunk.id)
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            reasons += [choice.finish_reason] if choice.finish_reason else []
    check(f"{model} stream", text.strip() == "one two three" and reasons == ["stop"], (text, reasons))
    check(f"{model} stream usage", usage is not None and usage.completion_tokens > 0, usage)
    check(f"{model} stream id", len(ids) == 1, ids)


def stream_helper(model):
    with client.chat.completions.stream(model=model, messages=user("ECHO helped along")) as events:
        for _ in events:
            pass
        answer = events.get_final_completion()
    check(f"{model} stream helper", answer.choices[0].message.content.strip() == "helped along", answer)


def tools(model):
    messages = user('CALL add {"a": 2, "b": 3}')
    answer = client.chat.completions.create(model=model, messages=messages, tools=[TOOL], tool_choice="auto")
    message = answer.choices[0].message
    check(f"{model} tool call", answer.choices[0].finish_reason == "tool_calls" and len(message.tool_calls) == 1, answer)
    call = message.tool_calls[0]
    check(f"{model} tool call function", call.function.name == "add" and '"b"' in call.function.arguments, call)
    messages += [message.model_dump(exclude_none=True), {"role": "tool", "tool_call_id": call.id, "content": "5"}]
    answer = client.chat.completions.create(model=model, messages=messages, tools=[TOOL])
    check(f"{model} tool result", answer.choices[0].message.content.strip() == "RESULT: 5", answer)

    name, arguments = "", ""
    events = client.chat.completions.create(model=model, messages=messages[:1], tools=[TOOL], stream=True)
    for chunk in events:
        for choice in chunk.choices:
            for piece in choice.delta.tool_calls or []:
                name += piece.function.name or ""
                arguments += piece.function.arguments or ""
    check(f"{model} streamed tool call", name == "add" and '"a"' in arguments, (name, arguments))


def image(model):
    content = [
        {"type": "text", "text": "ECHO seen"},
        {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
    ]
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": content}])
    check(f"{model} image", answer.choices[0].message.content.strip() == "seen", answer)


def upstream_failures(model):
    for status, kind in [(429, openai.RateLimitError), (500, openai.InternalServerError), (401, openai.InternalServerError)]:
        for streaming in (False, True):
            act = lambda: client.chat.completions.create(model=model, messages=user(f"FAIL {status}"), stream=streaming)
            raises(f"{model} upstream {status} stream={streaming}", kind, act)


def embeddings(model):
    create = client.embeddings.create
    texts = ["Hello there", "one"]
    vectors = [[11.0, 2.0, 1.0], [3.0, 1.0, 1.0]]
    # Where no form is named the package asks for base64.
    for more in [{}, {"encoding_format": "float"}, {"encoding_format": "base64"}]:
        answer = create(model=model, input=texts, user="ann", **more)
        seen = [list(item.embedding) for item in answer.data]
        if more.get("encoding_format") == "base64":
            seen = [list(struct.unpack("<3f", base64.b64decode(item.embedding))) for item in answer.data]
        check(f"{model} embeddings {more}", seen == vectors, answer)
        check(f"{model} embeddings order", [item.index for item in answer.data] == [0, 1], answer)
    check(f"{model} embeddings usage", answer.usage.prompt_tokens == answer.usage.total_tokens == 7, answer.usage)
    answer = create(model=model, input="one", dimensions=2)
    check(f"{model} embeddings dimensions", list(answer.data[0].embedding) == [3.0, 1.0], answer)
    raises(f"{model} embeddings upstream", openai.InternalServerError, lambda: create(model=model, input="FAIL 503"))
    raises(f"{model} embeddings rate", openai.RateLimitError, lambda: create(model=model, input=["a", "FAIL 429"]))
    provider = model.split("/")[0]
    error = raises(f"{model} embeddings unknown", openai.NotFoundError, lambda: create(model=f"{provider}/no", input="x"))
    check(f"{model} embeddings unknown code", error.code == "model_not_found", error.body)


def agent():
    for streaming in (False, True):
        answer = client.chat.completions.with_raw_response.create(
            model="majordomo", messages=user("ECHO from the agent"), stream=streaming, user="ann"
        )
        check("agent session", answer.headers["x-session-id"] == "openai-ann", answer.headers)
        parsed = answer.parse()
        if streaming:
            text = "".join(choice.delta.content or "" for chunk in parsed for choice in chunk.choices)
        else:
            text = parsed.choices[0].message.content
        check(f"agent stream={streaming}", text.strip() == "from the agent", text)
    named = client.chat.completions.with_raw_response.create(
        model=f"majordomo/{models[0]}",
        messages=user('CALL calculator {"expression": "6*7"}'),
        metadata={"session_id": "python-sdk"},
    )
    text = named.parse().choices[0].message.content
    check("agent tool", "42" in text and named.headers["x-session-id"] == "python-sdk", text)
    raises("agent refuses tools", openai.BadRequestError,
           lambda: client.chat.completions.create(model="majordomo", messages=user("Hi"), tools=[TOOL]))


def failures():
    create = client.chat.completions.create
    error = raises("n=2", openai.BadRequestError, lambda: create(model="majordomo", messages=user("Hi"), n=2))
    check("n=2 body", (error.type, error.param) == ("invalid_request_error", "n"), error.body)
    error = raises("unknown agent model", openai.NotFoundError,
                   lambda: create(model="majordomo/builtin/none", messages=user("Hi")))
    check("unknown model code", error.code == "model_not_found", error.body)
    wrong = OpenAI(api_key="wrong", max_retries=0)
    error = raises("wrong key", openai.AuthenticationError, lambda: wrong.models.list())
    check("wrong key code", error.code == "invalid_api_key", error.body)


async def asynchronous(model):
    async with AsyncOpenAI(max_retries=0, timeout=30) as asynchronous_client:
        create = asynchronous_client.chat.completions.create
        answers = await asyncio.gather(*(create(model=model, messages=user(f"ECHO n{i}")) for i in range(8)))
    texts = [answer.choices[0].message.content.strip() for answer in answers]
    check(f"{model} concurrent", texts == [f"n{i}" for i in range(8)], texts)


list_models()
for model in models:
    chat(model)
    stream(model)
    stream_helper(model)
    tools(model)
    image(model)
    upstream_failures(model)
    asyncio.run(asynchronous(model))
for embedder in embedders:
    embeddings(embedder)
agent()
failures()
print("all ok")
