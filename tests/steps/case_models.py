"""Chat templates with tools and thoughts as Qwen3's and DeepSeek-R1's have them, written anew for tests."""

from __future__ import annotations

CALL = "{{ {'name': c.function.name, 'arguments': c.function.arguments} | tojson }}"
QWEN3 = (
    "{% if tools %}<|im_start|>system\n# Tools\n<tools>{% for t in tools %}\n{{ t | tojson }}{% endfor %}\n</tools>"
    "<|im_end|>\n{% endif %}{% set ns = namespace(last=-1) %}{% for m in messages %}{% if m.role == 'user' %}"
    "{% set ns.last = loop.index0 %}{% endif %}{% endfor %}{% for m in messages %}"
    "{% if m.role == 'tool' %}<|im_start|>user\n<tool_response>\n{{ m.content }}\n</tool_response>"
    "{% elif m.role != 'assistant' %}<|im_start|>{{ m.role }}\n{{ m.content }}{% else %}<|im_start|>assistant\n"
    "{% set thoughts = m.reasoning_content or '' %}"
    "{% if loop.index0 > ns.last and (loop.last or thoughts) %}<think>\n{{ thoughts }}\n</think>\n\n{% endif %}"
    "{{ m.content }}{% for c in m.tool_calls or [] %}{% if m.content or not loop.first %}\n{% endif %}"
    "<tool_call>\n" + CALL + "\n</tool_call>{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Tools in a system turn, results in a user's turn, calls in `<tool_call>`; earlier thoughts are dropped."""
R1 = (
    "{% if tools %}<|im_start|>system\n## Tools\n{% for t in tools %}{{ t | tojson }}\n{% endfor %}<|im_end|>\n"
    "{% endif %}{% for m in messages %}{% if m.role == 'tool' %}<|im_start|>tool\n{{ m.content }}<|im_end|>\n"
    "{% elif m.role != 'assistant' %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
    "{% else %}<|im_start|>assistant\n{{ m.content.split('</think>')[-1] }}{% if m.tool_calls %}<calls>"
    "{% for c in m.tool_calls %}<call>function<sep>{{ c.function.name }}\n```json\n"
    "{{ c.function.arguments | tojson }}\n```</call>{% endfor %}</calls>{% endif %}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
)
"""The generation prompt begins a thought, thoughts are cut from what was answered, and a call's name stands apart."""
TEMPLATES = {"qwen3": QWEN3, "r1": R1}
