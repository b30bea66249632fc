"""Files that other programs read, as those programs understand them, and in step with the code."""

from __future__ import annotations

import configparser
from pathlib import Path
from xml.etree import ElementTree

from postroad.app import config as configuration
from postroad.base import limits
from postroad.message.address import DOMAIN

FILES = Path(__file__).resolve().parents[2] / "packaging" / "files"


def test_firewalld_opens_what_nodes_use_and_nothing_else() -> None:
    service = ElementTree.parse(FILES / "postroad.xml").getroot()
    assert service.tag == "service"
    assert {child.tag for child in service} == {"short", "description", "port"}
    ports = {(one.get("protocol"), one.get("port")) for one in service.iter("port")}
    assert ports == {(way, str(limits.PEER_PORT_DEFAULT)) for way in ("udp", "tcp")}


def test_ufw_opens_the_same() -> None:
    profile = configparser.ConfigParser(interpolation=None)
    profile.read_string((FILES / "postroad.ufw").read_text())
    (name,) = profile.sections()
    assert name == "Postroad"
    assert set(profile[name]) == {"title", "description", "ports"}
    assert profile[name]["ports"] == str(limits.PEER_PORT_DEFAULT)  # both udp and tcp


def test_thunderbird_is_told_of_the_doors_where_they_usually_are() -> None:
    provider = ElementTree.parse(FILES / f"{DOMAIN}.xml").getroot().find("emailProvider")
    assert provider is not None
    assert provider.findtext("domain") == DOMAIN
    usual = configuration.default()
    doors = {"imap": usual.imap_port, "pop3": usual.pop3_port, "smtp": usual.smtp_port}
    servers = [one for one in provider if one.tag.endswith("Server")]
    assert [one.get("type") for one in servers] == ["imap", "pop3", "smtp"]  # what it offers first
    for one in servers:
        assert one.findtext("port") == str(doors[str(one.get("type"))])
        assert one.findtext("hostname") == "127.0.0.1"
        assert one.findtext("socketType") == "plain"
        assert one.findtext("authentication") == "password-cleartext"
        assert one.findtext("username") == "%EMAILADDRESS%"
