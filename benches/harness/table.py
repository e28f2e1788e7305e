"""Tables for the terminal, and the formats of sizes and times in them."""


def seconds(value):
    return f"{value:.2f} s" if value >= 0.1 else f"{value * 1000:.1f} ms"


def megabytes(value):
    return f"{value / 1e6:,.0f} MB"


def times(value):
    return f"{value:.2f} ×"


def table(header, rows):
    """Aligns the first column to the left and the others to the right; each is as wide as its longest cell."""
    rows = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[column]) for row in rows if column < len(row)) for column in range(len(header))]

    def line(row):
        cells = [cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in enumerate(zip(row, widths))]
        return "  ".join(cells).rstrip()

    return "\n".join([line(rows[0]), "─" * len(line(widths_row(widths))), *map(line, rows[1:])])


def widths_row(widths):
    return ["x" * width for width in widths]


def costs(results, base, bytes_read=None):
    """The table of a comparison: medians, the range of the wall times, and ratios to the Result `base`."""
    header = ["", "wall", "from", "to", "CPU", "peak memory", "wall ratio", "memory ratio"]
    header += ["GB/s"] if bytes_read else []
    rows, failures = [], []
    for result in results:
        if not result.ok:
            rows.append([result.name, "failed"])
            failures.append(f"{result.name} failed: {result.error}")
            continue
        walls = [cost.wall for cost in result.costs]
        row = [result.name, seconds(result.wall), seconds(min(walls)), seconds(max(walls))]
        row += [seconds(result.cpu), megabytes(result.peak)]
        row += [times(result.wall / base.wall), times(result.peak / base.peak)] if base.ok else ["", ""]
        row += [f"{bytes_read / result.wall / 1e9:.2f}"] if bytes_read else []
        rows.append(row)
    return "\n".join([table(header, rows), *failures])
