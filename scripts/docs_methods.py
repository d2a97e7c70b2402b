"""For the reference: the clients' methods are made from requests, which reading the source does not show."""

from importlib import import_module
from typing import Any

import griffe

_CLIENTS = {
    "livecomments.client.blocking": "LiveComments",
    "livecomments.client.asynchronous": "AsyncLiveComments",
}


class MadeMethods(griffe.Extension):
    """Puts what the classes have at run time in the place of what is assigned in their source."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        for module, name in _CLIENTS.items():
            import_module(module)  # griffe would look for what it imports in the checkout alone
            read = pkg[module.removeprefix("livecomments.")][name]
            run = griffe.inspect(module.rpartition(".")[2], filepath=read.filepath, parent=pkg["client"])[name]
            for member, found in list(read.members.items()):
                if found.is_attribute and run.members[member].is_function:
                    read.set_member(member, run.members[member])
