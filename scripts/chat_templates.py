#!/usr/bin/env python3
"""Writes what jinja2, set up as `transformers` sets it up, makes of chat templates in the styles of the families.

    scripts/chat_templates.py > tests/references/chat_templates.json      # needs jinja2

The templates are written for this purpose; each uses what those of LLaDA, Qwen 2.5 and 3 (Dream, SDAR), Gemma, or others use.
"""

import json

from jinja2.exceptions import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

TEMPLATES = {
    "turns": """{{ bos_token }}{% for message in messages %}
{% set content = '<|start|>' + message['role'] + '<|end|>\\n\\n' + message['content'] | trim + '<|eot|>' %}
{{ content }}
{% endfor %}
{% if add_generation_prompt %}{{ '<|start|>assistant<|end|>\\n\\n' }}{% endif %}""",
    "thoughts": """{%- if tools %}
  {{- 'TOOLS ' + (tools | tojson) }}
{%- elif messages[0].role == 'system' %}
  {{- 'SYS ' + messages[0].content + '\\n' }}
{%- endif %}
{%- set ns = namespace(open=true, last=messages|length - 1) %}
{%- for message in messages[::-1] %}
  {%- set index = (messages|length - 1) - loop.index0 %}
  {%- if ns.open and message.role == "user" and message.content is string
        and not (message.content.startswith('<r>') and message.content.endswith('</r>')) %}
    {%- set ns.open = false %}
    {%- set ns.last = index %}
  {%- endif %}
{%- endfor %}
{%- for message in messages %}
  {%- set content = message.content if message.content is string else '' %}
  {%- if message.role == 'user' or (message.role == 'system' and not loop.first) %}
    {{- message.role + ':' + content + '\\n' }}
  {%- elif message.role == 'assistant' %}
    {%- set thought = '' %}
    {%- if message.thought is defined and message.thought is not none %}
      {%- set thought = message.thought %}
    {%- elif '</think>' in content %}
      {%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
      {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
    {%- endif %}
    {%- if loop.index0 > ns.last and (loop.last or (not loop.last and thought)) %}
      {{- 'A<' + thought.strip('\\n') + '>' + content + '\\n' }}
    {%- else %}
      {{- 'A:' + content + '\\n' }}
    {%- endif %}
  {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
  {{- 'assistant:' }}
  {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think></think>' }}{%- endif %}
{%- endif %}""",
    "alternating": """{%- if messages[0]['role'] == 'system' -%}
  {%- set first = messages[0]['content'] + '\\n\\n' -%}{%- set rest = messages[1:] -%}
{%- else -%}
  {%- set first = '' -%}{%- set rest = messages -%}
{%- endif -%}
{{ bos_token }}
{%- for message in rest -%}
  {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
    {{ raise_exception('Conversation roles must alternate') }}
  {%- endif -%}
  {%- set role = 'model' if message['role'] == 'assistant' else message['role'] -%}
  {{ '<turn>' + role + '\\n' + (first if loop.first else '') }}
  {%- if message['content'] is string -%}{{ message['content'] | trim }}
  {%- elif message['content'] is iterable -%}
    {%- for item in message['content'] -%}{{ item['text'] }}{%- endfor -%}
  {%- endif -%}
  {{ '</turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<turn>model\\n' }}{%- endif -%}""",
    "macros": """{%- macro turn(role, text) -%}[{{ role | upper }}]{{ text }}[/{{ role | upper }}]{%- endmacro -%}
{%- set system = messages | selectattr('role', 'equalto', 'system') | map(attribute='content') | list -%}
{%- if system | length > 0 -%}{{ turn('system', system | join('; ')) }}{%- endif -%}
{%- for message in messages if message.role != 'system' -%}
  {{ turn(message.role, message.get('content', '')) }}
  {%- for key, value in message.items() -%}{%- if key == 'role' -%}({{ value.title() }}){%- endif -%}{%- endfor -%}
{%- endfor -%}
{%- if not add_generation_prompt is defined -%}{%- set add_generation_prompt = false -%}{%- endif -%}
{%- if add_generation_prompt -%}{{ '[ASSISTANT]' }}{%- endif -%}""",
}

SYSTEM, USER = {"role": "system", "content": "Be brief."}, {"role": "user", "content": " Name a \"river\".\n"}
ANSWER = {"role": "assistant", "content": "<think>\nLong or wide?\n</think>\n\nThe Nile."}
CONVERSATIONS = [[USER], [SYSTEM, USER], [USER, ANSWER, USER], [SYSTEM, USER, ANSWER, USER], [USER, ANSWER], [USER, USER]]


def refuse(why):
    raise TemplateError(why)


def main():
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    environment.globals["raise_exception"] = refuse
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    cases = []
    for name, template in TEMPLATES.items():
        for messages in CONVERSATIONS:
            try:
                text = environment.from_string(template).render(
                    messages=messages, add_generation_prompt=True, bos_token="<s>", tools=None, documents=None)
            except TemplateError:
                text = None  # the template refuses the conversation
            cases.append({"template": name, "messages": messages, "text": text})
    print(json.dumps({"templates": TEMPLATES, "cases": cases}, indent=1))


main()
