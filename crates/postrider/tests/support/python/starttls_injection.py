"""Sends commands behind STARTTLS or STLS in the same packet: PORT smtp|pop3. Prints every reply under TLS."""
import socket
import ssl
import sys

port, protocol = sys.argv[1:]
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
connection = socket.create_connection(("127.0.0.1", int(port)), timeout=60)


def talk(line):
    connection.sendall(line)
    return answer()


def answer():
    said = b""
    while not said.endswith(b"\r\n") or said.rstrip().split(b"\r\n")[-1][3:4] == b"-":
        octets = connection.recv(4096)
        if not octets:
            print("closed")
            sys.exit()
        said += octets
    return said


answer()
if protocol == "smtp":
    talk(b"EHLO client.test\r\n")
    said = talk(b"STARTTLS\r\nMAIL FROM:<injected@client.test>\r\nRCPT TO:<alice@example.test>\r\n")
else:
    said = talk(b"STLS\r\nUSER injected\r\n")
assert said.count(b"\r\n") == 1 and said[:3] in (b"220", b"+OK"), said
connection = context.wrap_socket(connection)
if protocol == "smtp":
    print(talk(b"EHLO client.test\r\n").decode())
    print(talk(b"RCPT TO:<alice@example.test>\r\n").decode())
else:
    print(talk(b"PASS anything\r\n").decode())
