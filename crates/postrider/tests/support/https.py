"""Serves the file FOLDER/HOST for every path, as a web server of MTA-STS policies does; HOST is the one that is asked for.

A file that is missing is 404; one whose name ends in ".moved" is answered with a redirect.
"""
import http.server
import os
import ssl
import sys

folder, address, port, certificate, key = sys.argv[1:6]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        host = self.headers["Host"].split(":")[0]
        path = os.path.join(folder, host)
        if os.path.exists(path + ".moved"):
            self.send_response(301)
            self.send_header("Location", f"https://{self.headers['Host']}/elsewhere")
            self.end_headers()
        elif not os.path.exists(path):
            self.send_error(404)
        else:
            with open(path, "rb") as file:
                body = file.read()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *words):
        pass


server = http.server.ThreadingHTTPServer((address, int(port)), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
print("ready", flush=True)
server.serve_forever()
