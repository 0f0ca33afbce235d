#!/usr/bin/env python3
"""Compares our chat template engine with jinja2 as transformers configures it, character by character.

Needs the Python packages jinja2, transformers and (for --gguf) gguf, and the program `render_template` of this folder.

    tools/check_templates.py --render build/tools/render_template [--shared ../shared] [--gguf SmolLM2.gguf]

Every published template found under the shared folder (and in the GGUF file) meets every conversation below, with and
without generation prompt, with tools and without. Then come several hundred one-line templates that exercise the language itself.
An error must be an error on both sides; the message of raise_exception must be the same. Prints one line per
template and exits 1 on any difference.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

import jinja2
from transformers.utils.chat_template_utils import _compile_jinja_template

from check_templates_language import KNOWN_DIFFERENCES, SNIPPETS, VARIABLES

TOOLS = [
    {"type": "function", "function": {
        "name": "get_weather", "description": "The weather of a place, now.",
        "parameters": {"type": "object", "properties": {
            "city": {"type": "string", "description": "A city <b>\"quoted\"</b>"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
            "days": {"type": "integer", "nullable": True},
            "tags": {"type": "array", "items": {"type": "string"}},
            "where": {"type": "object", "properties": {"lat": {"type": "number"}, "lon": {"type": ["number", "null"]}},
                      "required": ["lat"]}},
            "required": ["city"]},
        "response": {"type": "object", "description": "What it is like"}}},
    {"type": "function", "function": {"name": "größe_λ", "description": "日本語 ünïcode", "parameters": {}}},
    {"type": "function", "function": {"name": "f", "description": "", "parameters": {
        "type": "object", "properties": {"a": {"oneOf": [{"type": "string"}, {"type": "integer", "default": 3}]},
                                         "b": {"type": "boolean", "default": False},
                                         "c": {"type": "number", "default": 1.5},
                                         "d": {"type": "array", "items": {"type": "object", "properties": {
                                             "x": {"type": "string"}}, "required": ["x"]}}}}}},
]


def user(content, **more):
    return {"role": "user", "content": content, **more}


def assistant(content, **more):
    return {"role": "assistant", "content": content, **more}


def system(content):
    return {"role": "system", "content": content}


def call(name, arguments, **more):
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **more}


CALL = call("get_weather", {"city": "Köln", "days": 3, "x": [1, 2.5, None, True, {"k": "v\n\"q\""}]}, id="call_1")
CONVERSATIONS = {
    "user only": [user("Hi")],
    "system": [system("Be brief."), user("Hi")],
    "two turns": [user("Hi"), assistant("Hello."), user("And?"), assistant("So.")],
    "system, three turns": [system("  You are X.\n"), user(" a \n"), assistant("\n b\n"), user("c"), assistant("d"), user("e")],
    "empty turns": [user(""), assistant(""), user("")],
    "unicode": [user("Grüße 日本語 🎉 \u200b \u00a0 é e\u0301"), assistant("𝔘nicode — “quotes” ‘x’ \u2028 end")],
    "markup in text": [user("<|im_end|> <b>&amp;</b> {{ x }} {% y %} {# z #}"), assistant("<think>no</think> </think>x")],
    "reasoning in the text": [user("q"), assistant("<think>\nlet me see\n</think>\n\nanswer"), user("r"),
                              assistant("<think>\n\n</think>\n\nb")],
    "reasoning field": [user("q"), assistant("a", thinking="hm", reasoning_content="hm", reasoning="hm"), user("r"),
                        assistant("b", thinking="so", reasoning_content="so")],
    "reasoning in the last turn": [user("q"), assistant("a", reasoning_content="first\nsecond", thinking="first")],
    "tool call": [user("Weather?"), assistant("", tool_calls=[CALL]),
                  {"role": "tool", "content": "{\"t\": 12.0}", "tool_call_id": "call_1", "name": "get_weather"},
                  assistant("12 degrees.")],
    "tool call without content": [user("Weather?"), {"role": "assistant", "content": None, "tool_calls": [CALL]}],
    "tool call without content key": [user("Weather?"), {"role": "assistant", "tool_calls": [CALL]},
                                      {"role": "tool", "content": "x"}],
    "two tool calls": [system("S"), user("Weather?"),
                       assistant("Let me look.", tool_calls=[CALL, call("f", {}, id="call_2")]),
                       {"role": "tool", "content": "rain", "tool_call_id": "call_1"},
                       {"role": "tool", "content": "sun", "tool_call_id": "call_2"}, assistant("Both."), user("Thanks")],
    "arguments as text": [user("W?"), assistant("", tool_calls=[call("get_weather", "{\"city\": \"Ulm\"}")])],
    "flat tool call": [user("W?"), assistant("", tool_calls=[{"name": "f", "arguments": {"a": 1}}])],
    "thinking and a tool call": [user("W?"), assistant("", thinking="I need the weather", reasoning_content="I need it",
                                                       tool_calls=[CALL]), {"role": "tool", "content": "rain"}],
    "content and thinking and a tool call": [user("W?"), assistant("c", thinking="t", tool_calls=[CALL])],
    "tool result before a call": [user("W?"), {"role": "tool", "content": "x"}],
    "tool result as data": [user("W?"), assistant("", tool_calls=[CALL]),
                            {"role": "tool", "content": {"t": 1.0, "n": None, "l": [1, "a"]}}, assistant("ok")],
    "two users": [user("a"), user("b")],
    "assistant first": [assistant("a"), user("b")],
    "two assistants": [user("a"), assistant("b"), assistant("c")],
    "late system": [user("a"), system("s"), assistant("b")],
    "developer": [{"role": "developer", "content": "D"}, user("a"), assistant("b")],
    "unknown role": [{"role": "wizard", "content": "w"}, user("a")],
    "parts": [user([{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]), assistant("x")],
    "image part": [user([{"type": "image"}, {"type": "text", "text": " look "}]), assistant([{"type": "text", "text": "y"}])],
    "null content": [user(None), assistant("x")],
    "missing content": [{"role": "user"}, assistant("x")],
    "missing role": [{"content": "x"}],
    "number content": [user(5), assistant(1.5)],
    "channel tags": [user("a"), assistant("<|channel|>analysis<|message|>x")],
    "no_think": [system("/no_think be nice"), user("a"), assistant("\n\nb")],
    "system override": [system("/system_override only this  "), user("a /think"), assistant("b")],
    "no messages": [],
    "long": [m for i in range(40) for m in (user(f"question {i}"), assistant(f"answer {i}", reasoning_content=f"r{i}"))],
}
VARIANTS = [{}, {"enable_thinking": True}, {"enable_thinking": False}, {"reasoning_effort": "high"},
            {"builtin_tools": ["browser", "python"]}, {"model_identity": "You are Y."}, {"xml_tools": TOOLS},
            {"python_tools": ["def f(): pass"]}]
SPECIAL_TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}


def published_templates(shared, gguf_path):
    found = {}
    folder = shared / "assets" / "chat-templates"
    for path in sorted(folder.glob("*.jinja")):
        found[path.name] = path.read_text()
    configs = sorted(folder.glob("*tokenizer_config.json")) + sorted((shared / "assets").glob("tok-*/*tokenizer_config.json"))
    for path in configs:
        template = json.loads(path.read_text()).get("chat_template")
        for entry in template if isinstance(template, list) else [{"name": "", "template": template}]:
            if entry["template"]:
                found[f"{path.parent.name}/{path.name} {entry['name']}".strip()] = entry["template"]
    if gguf_path:
        import gguf
        field = gguf.GGUFReader(gguf_path).get_field("tokenizer.chat_template")
        found["GGUF " + pathlib.Path(gguf_path).name] = bytes(field.parts[field.data[0]]).decode()
    return found


class Ours:
    """The program under test, kept running."""

    def __init__(self, program):
        self.process = subprocess.Popen([program, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def render(self, request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("render_template died on: " + json.dumps(request)[:2000])
        return json.loads(line)


def theirs(request):
    values = {**request.get("special_tokens", {}), **request.get("variables", {})}
    values.setdefault("documents", None)
    values.update(messages=request.get("messages", []), tools=request.get("tools"),
                  add_generation_prompt=request.get("add_generation_prompt", False))
    try:
        return {"text": _compile_jinja_template(request["template"]).render(**values)}
    except Exception as error:  # whatever a template may raise
        return {"error": str(error), "raised": type(error) is jinja2.exceptions.TemplateError}


def difference(request, ours):
    """None when equal, else what differs. Second value: whether the error messages agree word for word."""
    expected, got = theirs(request), ours.render(request)
    if "text" in expected:
        return (None if got.get("text") == expected["text"] else (expected, got)), True
    if "error" not in got:
        return (expected, got), False
    same = got["error"] == expected["error"] or got["error"].split(": ", 2)[-1] == expected["error"]
    if expected["raised"] and got["error"] != expected["error"]:
        return (expected, got), False
    return None, same


def show(name, request, found):
    expected, got = found
    print(f"  DIFFERS: {name}\n    template {request['template'][:200]!r}\n    jinja2 {expected}\n    ours   {got}")


def check_published(templates, ours):
    failed = 0
    for name, template in templates.items():
        cases = errors = same_message = bad = 0
        for title, messages in CONVERSATIONS.items():
            for tools in (None, TOOLS):
                for prompt in (False, True):
                    for variant in VARIANTS if title in ("system, three turns", "tool call", "reasoning field") else VARIANTS[:1]:
                        request = {"template": template, "messages": messages, "tools": tools, "variables": variant,
                                   "add_generation_prompt": prompt, "special_tokens": SPECIAL_TOKENS}
                        cases += 1
                        found, same = difference(request, ours)
                        if "error" in theirs(request):
                            errors += 1
                            same_message += same
                        if found:
                            bad += 1
                            if bad <= 3:
                                show(f"{title}, tools {bool(tools)}, prompt {prompt}, {variant}", request, found)
        failed += bad
        print(f"{'FAIL' if bad else 'ok':4} {name}: {cases} renders, {bad} differ; {errors} errors on both sides, "
              f"{same_message} with the same words")
    return failed


def check_language(ours, verbose):
    failed = errors = same_message = 0
    for snippet in SNIPPETS:
        request = {"template": snippet, "variables": VARIABLES}
        found, same = difference(request, ours)
        if snippet in KNOWN_DIFFERENCES:
            if not found:
                print("  no longer a difference:", snippet)
        elif found:
            failed += 1
            show("language", request, found)
        elif "error" in theirs(request):
            errors += 1
            same_message += same
            if verbose and not same:
                print("  other words:", repr(snippet), theirs(request), ours.render(request))
    print(f"{'FAIL' if failed else 'ok':4} language: {len(SNIPPETS)} snippets, {failed} differ, "
          f"{len(KNOWN_DIFFERENCES)} known to; {errors} errors on both "
          f"sides, {same_message} with the same words")
    return failed


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--render", required=True, help="the program render_template")
    parser.add_argument("--shared", default=os.environ.get("SPECULATORS_SHARED", here.parent.parent / "shared"))
    parser.add_argument("--gguf", help="a GGUF file whose chat template is checked too")
    parser.add_argument("--verbose", action="store_true", help="also show errors whose words differ")
    options = parser.parse_args()
    ours = Ours(options.render)
    failed = check_language(ours, options.verbose)
    failed += check_published(published_templates(pathlib.Path(options.shared), options.gguf), ours)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
