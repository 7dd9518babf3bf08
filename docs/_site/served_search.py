"""A served site is searchable, but a page is indexed only when it has changed.

Indexing is most of what MkDocs does after a save. MkDocs loads `hooks.py` anew at every save; this module stays.
"""

from mkdocs.plugins import CombinedEvent, event_priority

from docs._site.extension import serving

SEARCH = "material/search"

_indexed: dict[str, tuple[str, list]] = {}  # address of a page -> (its content, its entries in the search index)


@event_priority(100)
def _before_the_search_plugin(context, page, config, nav):
    """Put an unchanged page's entries into the index, and let the plugin pass the page over."""
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
    """Keep the entries that the plugin has made for a page."""
    if "first_entry" in context:
        entries = config.plugins[SEARCH].search_index.entries
        _indexed[page.url][1].extend(entries[context.pop("first_entry") :])


on_page_context = CombinedEvent(_before_the_search_plugin, _after_the_search_plugin)
