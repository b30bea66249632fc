"""The list at the left of the window: the one place that knows all pages.

A page's module is imported when it is first looked at.
"""

from __future__ import annotations

from collections.abc import Sequence

from postroad_tray.client import Client
from postroad_tray.deeds import Place
from postroad_tray.tongue import _
from postroad_tray.trails import Trails
from postroad_tray.window.first_run_words import Run
from postroad_tray.window.page import Entry, Page
from postroad_tray.window.shapes import Glyph


def contents(client: Client, trails: Trails) -> Sequence[Entry]:
    def overview() -> Page:
        from postroad_tray.window.overview import Overview

        return Overview(client)

    def peers() -> Page:
        from postroad_tray.window.peers import Peers

        return Peers(client, trails)

    def queue() -> Page:
        from postroad_tray.window.queue import Queue

        return Queue(client)

    def health() -> Page:
        from postroad_tray.window.health import Health

        return Health(client)

    def contacts() -> Page:
        from postroad_tray.window.contacts import Contacts

        return Contacts(client)

    run = Run()

    def first_run() -> Page:
        from postroad_tray.window.first_run import FirstRun

        return FirstRun(client, run)

    def setup() -> Page:
        from postroad_tray.window.setup import SetUp

        return SetUp(client)

    return (
        Entry(
            Place.FIRST_RUN, _("First steps"), Glyph.SETUP, first_run, listed=run.is_listed
        ),
        Entry(Place.OVERVIEW, _("Overview"), Glyph.OVERVIEW, overview),
        Entry(Place.PEERS, _("Peers"), Glyph.PEERS, peers),
        Entry(
            Place.QUEUE,
            _("Queue"),
            Glyph.QUEUE,
            queue,
            waits=lambda picture: picture.node.parcels_under_way,
        ),
        Entry(Place.HEALTH, _("Health"), Glyph.HEALTH, health, begins=(Place.CONNECTION,)),
        Entry(
            Place.CONTACTS,
            _("Contacts"),
            Glyph.CONTACTS,
            contacts,
            waits=lambda picture: picture.node.requests_waiting,
            begins=(Place.REQUESTS, Place.INVITE, Place.ACCEPT),
        ),
        Entry(Place.SETUP, _("Set-up"), Glyph.SETUP, setup),
    )
