"""What is offered on the bus, read from the very files that are installed for other programs.

Purpose: `interfaces/*.xml` say which methods, properties and signals there are, and in words what
they do; here they become tables. So the documents and the running service cannot differ.
See: D-Bus Specification, "Introspection Data Format".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from xml.etree import ElementTree

PEER = "org.freedesktop.DBus.Peer"
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
PROPERTIES = "org.freedesktop.DBus.Properties"
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
_DOCTYPE = (
    '<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"\n'
    '"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">\n'
)


@dataclass(frozen=True, slots=True)
class Method:
    """`takes` and `gives` are signatures; `about` is a sentence or two for whoever calls it."""

    name: str
    takes: str
    gives: str
    about: str


@dataclass(frozen=True, slots=True)
class Interface:
    """`properties` and `signals` are their signatures, by their names."""

    name: str
    methods: Mapping[str, Method]
    properties: Mapping[str, str]
    signals: Mapping[str, str]
    xml: str


@cache
def ours() -> Mapping[str, Interface]:
    """Our own, by their names."""
    folder = resources.files(__package__) / "interfaces"
    texts = [one.read_text() for one in folder.iterdir() if one.name.endswith(".xml")]
    found = [_read(interface) for text in texts for interface in _interfaces_in(text)]
    return {one.name: one for one in sorted(found, key=lambda one: one.name)}


@cache
def standard() -> Mapping[str, Interface]:
    """Those that every object has, and at last what the root alone has."""
    return {one.name: one for one in map(_read, _interfaces_in(_STANDARD))}


def introspection(of: Iterable[Interface], children: Iterable[str]) -> str:
    """What an object answers that is asked what it offers."""
    parts = [one.xml for one in of]
    parts += [f'  <node name="{name}"/>\n' for name in children]
    return f"{_DOCTYPE}<node>\n{''.join(parts)}</node>\n"


def _interfaces_in(text: str) -> list[ElementTree.Element]:
    # Our own files: nothing from outside is read here.
    return ElementTree.fromstring(text).findall("interface")  # noqa: S314


def _read(element: ElementTree.Element) -> Interface:
    methods = [
        Method(one.attrib["name"], _signature(one, "in"), _signature(one, "out"), _about(one))
        for one in element.findall("method")
    ]
    return Interface(
        element.attrib["name"],
        {one.name: one for one in methods},
        {one.attrib["name"]: one.attrib["type"] for one in element.findall("property")},
        {one.attrib["name"]: _signature(one, "out") for one in element.findall("signal")},
        f"  {ElementTree.tostring(element, encoding='unicode').strip()}\n",
    )


def _signature(element: ElementTree.Element, direction: str) -> str:
    arguments = element.findall("arg")
    return "".join(
        one.attrib["type"] for one in arguments if one.get("direction", "out") == direction
    )


def _about(element: ElementTree.Element) -> str:
    for one in element.findall("annotation"):
        if one.attrib["name"] == "org.gtk.GDBus.DocString":
            return one.attrib["value"]
    return ""


_STANDARD = f"""
<node>
  <interface name="{PEER}">
    <method name="Ping"/>
    <method name="GetMachineId"><arg name="machine_uuid" type="s" direction="out"/></method>
  </interface>
  <interface name="{INTROSPECTABLE}">
    <method name="Introspect"><arg name="xml_data" type="s" direction="out"/></method>
  </interface>
  <interface name="{PROPERTIES}">
    <method name="Get">
      <arg name="interface_name" type="s" direction="in"/>
      <arg name="property_name" type="s" direction="in"/>
      <arg name="value" type="v" direction="out"/>
    </method>
    <method name="GetAll">
      <arg name="interface_name" type="s" direction="in"/>
      <arg name="properties" type="a{{sv}}" direction="out"/>
    </method>
    <method name="Set">
      <arg name="interface_name" type="s" direction="in"/>
      <arg name="property_name" type="s" direction="in"/>
      <arg name="value" type="v" direction="in"/>
    </method>
    <signal name="PropertiesChanged">
      <arg name="interface_name" type="s"/>
      <arg name="changed_properties" type="a{{sv}}"/>
      <arg name="invalidated_properties" type="as"/>
    </signal>
  </interface>
  <interface name="{OBJECT_MANAGER}">
    <method name="GetManagedObjects">
      <arg name="objects" type="a{{oa{{sa{{sv}}}}}}" direction="out"/>
    </method>
    <signal name="InterfacesAdded">
      <arg name="object_path" type="o"/>
      <arg name="interfaces_and_properties" type="a{{sa{{sv}}}}"/>
    </signal>
    <signal name="InterfacesRemoved">
      <arg name="object_path" type="o"/>
      <arg name="interfaces" type="as"/>
    </signal>
  </interface>
</node>
"""
