"""The HTTP server with OpenAI's routes.

server.py              opens a release and serves it until it is told to stop
application.py         the routes
transport.py           HTTP: bodies, limits, disconnects
security.py            keys, hosts, origins
openai_requests.py     from JSON to what a service is asked
openai_responses.py    from a service's answer to JSON, whole or streamed
"""
