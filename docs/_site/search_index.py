"""The search index, at a lower price: it is most of what MkDocs does in a build and after a save.

Pictures and the colours of code are kept from the plugin, which reads every tag to throw most of them away. While
serving, a page is indexed only when it has changed. (MkDocs loads `hooks.py` anew at every save; this module stays.)
"""

import re

from mkdocs.plugins import CombinedEvent, event_priority

from docs._site.extension import serving

SEARCH = "material/search"

UNSEARCHED = re.compile(r"<svg.*?</svg>|</?span[^>]*>", re.DOTALL)
ADVICE = re.compile(r' data-search-exclude="[^"]*"')  # to the plugin, which takes it out of what it has read

_indexed: dict[str, tuple[str, list]] = {}  # address of a page -> (its content, its entries in the search index)


@event_priority(100)
def _before_the_search_plugin(context, page, config, nav):
    """Hand the plugin words alone; put an unchanged page's entries into the index, and let it pass the page over."""
    context["whole"], page.content = page.content, UNSEARCHED.sub("", page.content)
    if serving():
        entries = config.plugins[SEARCH].search_index.entries
        content, known = _indexed.get(page.url, ("", []))
        if content == page.content:
            entries += known
            page.meta["search"] = {"exclude": True}
        else:
            _indexed[page.url] = page.content, []
            context["first_entry"] = len(entries)


@event_priority(-100)
def _after_the_search_plugin(context, page, config, nav):
    """Give the page its content back, and keep the entries that the plugin has made for it."""
    if "first_entry" in context:
        entries = config.plugins[SEARCH].search_index.entries
        _indexed[page.url][1].extend(entries[context.pop("first_entry") :])
    page.content = ADVICE.sub("", context.pop("whole"))


on_page_context = CombinedEvent(_before_the_search_plugin, _after_the_search_plugin)
