"""Opens IPsec packets with scapy, and makes some: reads cases as JSON, writes what it found as JSON."""

import json
import sys

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import AH, ESP, SecurityAssociation


def parse(octets):
    return IPv6(octets) if octets[0] >> 4 == 6 else IP(octets)


def association(case):
    tunnel = case.get("tunnel")
    header = None
    if tunnel:
        family = IPv6 if ":" in tunnel["source"] else IP
        header = family(src=tunnel["source"], dst=tunnel["destination"])
    esp = {}
    if case["protocol"] == "esp":
        esp = {"crypt_algo": case["encryption"], "crypt_key": bytes.fromhex(case["encryptionKey"]) or None}
    return SecurityAssociation(
        ESP if case["protocol"] == "esp" else AH,
        spi=case["spi"],
        seq_num=1,
        auth_algo=case["integrity"],
        auth_key=bytes.fromhex(case["integrityKey"]) or None,
        tunnel_header=header,
        esn_en=case["isExtended"],
        esn=0,
        **esp,
    )


def answer(case):
    opening = association(case)
    opened = [bytes(opening.decrypt(parse(bytes.fromhex(packet)))).hex() for packet in case["packets"]]
    making = association(case)
    made = [bytes(making.encrypt(parse(bytes.fromhex(packet)))).hex() for packet in case["inner"]]
    return {"opened": opened, "made": made}


def attempt(case):
    try:
        return answer(case)
    except Exception as fault:  # whatever scapy makes of a packet is what the test is about
        return {"fault": repr(fault)}


json.dump([attempt(case) for case in json.load(sys.stdin)], sys.stdout)
