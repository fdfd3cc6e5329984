"""The HTTP server with OpenAI's routes: a request's JSON comes in, the answer's JSON or event stream goes out.

A request passes access.py, application.py, openai_requests.py, the service, and openai_responses.py, in this order.

server.py              opens a release and serves it until it is told to stop
access.py              the outermost layer: request ids, who may ask, the access log
security.py            API keys; without keys the Host and Origin headers are checked
application.py         the routes: chat completions, classify, models, health
transport.py           what the routes need of HTTP: bodies within bounds, event streams, clients that leave
openai_requests.py     a request's JSON, checked field by field
openai_responses.py    the answer's JSON, whole or in chunks
api_errors.py          what a client is told of an error
"""
