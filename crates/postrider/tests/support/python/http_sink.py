"""A web server that takes webhooks: PORT SECRET STATUS... Answers one request with each status, checks the signature of each
as Standard Webhooks says, and prints what came."""
import base64
import hashlib
import hmac
import http.server
import json
import sys
import time

port, secret, *statuses = sys.argv[1:]
key = base64.b64decode(secret.removeprefix("whsec_"))
seen = []


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        signed = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + body
        expected = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
        assert abs(int(self.headers["webhook-timestamp"]) - time.time()) < 300
        seen.append({
            "path": self.path,
            "id": self.headers["webhook-id"],
            "signed": hmac.compare_digest(expected, self.headers["webhook-signature"]),
            "type": self.headers["content-type"],
            "recipient": self.headers["x-postrider-recipient"],
            "sender": self.headers["x-postrider-sender"],
            "body": body.decode(),
        })
        status = int(statuses[len(seen) - 1])
        self.send_response(status)
        if status == 429:
            self.send_header("retry-after", "3")
        self.end_headers()
        self.wfile.write(b"noted\n")

    def log_message(self, *args):
        pass


server = http.server.HTTPServer(("127.0.0.1", int(port)), Hook)
server.timeout = 110
while len(seen) < len(statuses):
    before = len(seen)
    server.handle_request()
    assert len(seen) > before, "nobody came"
print(json.dumps(seen))
