# Debian: python3-jinja2 python3-markupsafe
from jinja2 import Environment
print(Environment(autoescape=True).from_string("{% for x in xs %}{{ loop.index }}:{{ x|upper }} {% endfor %}").render(xs=["a<", "b"]))
