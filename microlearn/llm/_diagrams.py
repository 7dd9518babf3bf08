"""How a simulation looks: a ring as pictures to leaf through, a timetable as bars over time. Both are plain SVG."""

LETTERS = "abcdefgh"
MOST = 12  # machines: a picture for each step of more would be a page of its own

# Ink comes from the page, so one picture serves light and dark. What is full is dark, whatever its colour.
FULL, EMPTY = "var(--c0,#0072b2)", "var(--paper,Canvas)"


def ring_frames(machines, messages):
    """Draw which sums each machine holds, at first and after each step: a row for a machine, a column for a piece."""
    if machines > MOST:
        return None
    steps = 1 + max((message.step for message in messages), default=-1)
    held = [[{machine} for _ in range(machines)] for machine in range(machines)]
    frames = [_grid(held, [], "at first, each machine has its own numbers")]
    for step in range(steps):
        now = [message for message in messages if message.step == step]
        for message, terms in [(one, set(held[one.sender][one.piece])) for one in now]:
            held[message.receiver][message.piece] |= terms
        phase, what = ("reduce-scatter", "add") if step < steps // 2 else ("all-gather", "copy")
        frames.append(_grid(held, now, f"step {step + 1} of {steps}, {phase}: {what} what arrives"))
    return f'<div class="frames" aria-label="the steps of the ring">{"".join(frames)}</div>'


def _grid(held, messages, caption):
    """Draw the state after a step, with an arrow for each message that led to it."""
    n = len(held)
    left, wide, tall, gap = 26, min(70, 300 // n), 26, 16
    width, height = left + n * wide + 6, n * (tall + gap) + 34
    arrived = {(message.receiver, message.piece) for message in messages}
    drawn, words = "", []
    for column in range(n):
        drawn += _text(left + (column + 0.5) * wide, 12, f"piece {column}" if n <= 5 else column)
    for machine, pieces in enumerate(held):
        y = 34 + machine * (tall + gap)
        drawn += _text(left - 14, y + 18, LETTERS[machine] if n <= 6 else machine)
        for column, terms in enumerate(pieces):
            x, whole = left + column * wide, len(terms) == n
            name = "".join(LETTERS[term] for term in sorted(terms)) if n <= 6 else str(len(terms))
            fill = FULL if whole else f"color-mix(in srgb,{FULL} {40 * (len(terms) - 1) // n}%,{EMPTY})"
            edge = 2.5 if (machine, column) in arrived else 0.8
            drawn += (
                f'<rect x="{x + 4}" y="{y}" width="{wide - 8}" height="{tall}" rx="3" style="fill:{fill}"'
                f' stroke="currentColor" stroke-width="{edge}"/>'
            )
            drawn += _text(x + wide / 2, y + 18, name, EMPTY if whole else "currentColor")
        words.append(f"{machine} holds {sum(len(terms) == n for terms in pieces)} whole")
    for message in messages:
        x = left + (message.piece + 0.5) * wide
        y = 34 + message.sender * (tall + gap) + tall
        drawn += _arrow(x, y)
        if message.receiver == 0:  # out of the picture at its foot, and in again at its head
            drawn += _arrow(x, 34 - gap)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="plot" role="img" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}" data-caption="{caption}" aria-label="{caption}. Of {n} pieces, machine'
        f' {", ".join(words)}."><g font-size="13" fill="currentColor" text-anchor="middle">{drawn}</g></svg>'
    )


def _arrow(x, y):
    return f'<path d="M{x:g} {y + 1}v13m-4 -5l4 5l4 -5" fill="none" stroke="currentColor" stroke-width="1.5"/>'


def _text(x, y, words, fill="currentColor", more=""):
    return f'<text x="{x:g}" y="{y:g}" style="fill:{fill}" {more}>{words}</text>'


def timetable(table):
    """Draw what each stage does when: a row for a stage, a light bar for forward, a dark one for backward."""
    stages, chunks = table.stages, table.chunks
    left, row, lane = 18, 30, 24 / chunks
    width, height = 346, stages * row + 40
    scale = (width - left - 6) / float(table.end)
    drawn = ""
    for stage in range(stages):
        y = stage * row + 15
        drawn += _text(8, y + 4, stage)
        drawn += f'<path d="M{left} {y}H{width - 6}" stroke="currentColor" stroke-opacity=".6" stroke-dasharray="2 4"/>'
    for job in table.jobs:
        x, wide = left + float(job.start) * scale, float(job.end - job.start) * scale
        y, back = job.stage * row + 3 + job.chunk * lane, job.kind == "backward"
        fill = FULL if back else f"color-mix(in srgb,{FULL} 14%,{EMPTY})"
        drawn += (
            f'<rect x="{x:.2f}" y="{y:g}" width="{wide:.2f}" height="{lane:g}" style="fill:{fill}"'
            f' stroke="{EMPTY if back else "currentColor"}" stroke-width=".7"/>'
        )
        if wide > 6.5 * len(str(job.microbatch)) and lane > 10:
            drawn += _text(x + wide / 2, y + lane / 2 + 4, job.microbatch, EMPTY if back else "currentColor")
    foot = stages * row + 12
    drawn += f'<path d="M{left} {foot - 6}H{width - 6}" stroke="currentColor"/>'
    drawn += _text(left, foot + 8, 0) + _text(width - 6, foot + 8, f"{float(table.end):g}", more='text-anchor="end"')
    key, y = [(92, "forward", f"color-mix(in srgb,{FULL} 14%,{EMPTY})"), (176, "backward", FULL)], foot + 2
    for x, word, fill in key:
        drawn += f'<rect x="{x}" y="{y}" width="14" height="12" style="fill:{fill}" stroke="currentColor"/>'
        drawn += _text(x + 20, y + 10, word, more='text-anchor="start"')
    drawn += f'<path d="M266 {y + 6}h18" stroke="currentColor" stroke-opacity=".6" stroke-dasharray="2 4"/>'
    drawn += _text(290, y + 10, "idle", more='text-anchor="start"')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="plot" role="img" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}" data-caption="{_caption(table)}"'
        f' aria-label="{_caption(table)}. {_spoken(table)}">'
        f'<g font-size="10.5" fill="currentColor" text-anchor="middle">{drawn}</g></svg>'
    )


def _caption(table):
    parts = f", {table.chunks} parts on each" if table.chunks > 1 else ""
    times = f"{float(table.end):g} long, {float(table.idle):.1%} idle"
    return f"{table.schedule}{parts}: {times}, {max(table.held)} held at most"


def _spoken(table):
    """Say when each stage begins and ends."""
    said = []
    for stage in range(table.stages):
        own = [job for job in table.jobs if job.stage == stage]
        said.append(f"stage {stage} from {float(own[0].start):g} to {float(own[-1].end):g}")
    return f"{table.microbatches} microbatches; at work: {', '.join(said)}."
