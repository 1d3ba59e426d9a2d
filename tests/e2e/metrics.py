"""Reads a page of metrics strictly (stdin): grammar, one block per family, types, buckets that rise, no series twice.
usage: metrics.py [--open] [SERIES...]: each SERIES, 'name{a="b"}' with some of its labels, must be there; its value may follow as ' >= 1'."""
import re
import sys

NAME = r'[a-zA-Z_:][a-zA-Z0-9_:]*'
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
SAMPLE = re.compile(r'(%s)(?:\{(.*)\})? (\S+)$' % NAME)


def labels_of(text):
    found, at = {}, 0
    while at < len(text or ''):
        m = LABEL.match(text, at)
        assert m, 'labels: ' + text
        assert m.group(1) not in found, 'label twice: ' + text
        found[m.group(1)] = m.group(2)
        at = m.end()
    return found


def parse(text, opened):
    assert text.endswith('\n'), 'no newline at the end'
    lines = text[:-1].split('\n')
    if opened:
        assert lines.pop() == '# EOF', 'no # EOF'
    series, types, family = {}, {}, None
    for line in lines:
        m = re.match(r'# (HELP|TYPE) (%s) (.+)$' % NAME, line)
        if m:
            if m.group(1) == 'HELP':
                assert m.group(2) not in types, 'family twice: ' + m.group(2)
                family = m.group(2)
            else:
                assert m.group(2) == family and m.group(3) in ('counter', 'gauge', 'histogram'), line
                types[family] = m.group(3)
            continue
        m = SAMPLE.match(line)
        assert m, 'not a line: ' + line
        name, value = m.group(1), float(m.group(3))
        ends = {'counter': ['_total' if opened else ''], 'gauge': [''], 'histogram': ['_bucket', '_sum', '_count']}[types[family]]
        assert name in [family + e for e in ends], 'outside its family: ' + line
        assert types[family] != 'counter' or (name.endswith('_total') and value >= 0), line
        key = (name, tuple(sorted(labels_of(m.group(2)).items())))
        assert key not in series, 'series twice: ' + line
        series[key] = value
    histograms(series, types)
    return series


def histograms(series, types):
    groups = {}
    for (name, labels), value in series.items():
        if name.endswith('_bucket') and types.get(name[:-7]) == 'histogram':
            le = dict(labels)['le']
            rest = tuple(x for x in labels if x[0] != 'le')
            groups.setdefault((name[:-7], rest), []).append((float(le), value))
    for (name, rest), buckets in groups.items():
        assert buckets == sorted(buckets) and buckets[-1][0] == float('inf'), name
        assert all(a[1] <= b[1] for a, b in zip(buckets, buckets[1:])), name
        assert series[(name + '_count', rest)] == buckets[-1][1], name
        assert (name + '_sum', rest) in series, name


def check(series, want):
    want, _, least = want.partition(' >= ')
    m = re.match(r'(%s)(?:\{(.*)\})?$' % NAME, want)
    some = set(labels_of(m.group(2)).items())
    total = [v for (name, labels), v in series.items() if name == m.group(1) and some <= set(labels)]
    if not total or sum(total) < float(least or 0):
        print('not there: %s (%s)' % (want, sum(total)))
        return False
    return True


def main():
    args = sys.argv[1:]
    opened = args[:1] == ['--open']
    text = sys.stdin.read()
    series = parse(text, opened)
    try:
        from prometheus_client.parser import text_string_to_metric_families as classic
        from prometheus_client.openmetrics.parser import text_string_to_metric_families as modern
        list((modern if opened else classic)(text))
    except ImportError:
        pass                            # a second opinion, where there is one
    ok = [check(series, a) for a in args[opened:]]
    sys.exit(0 if all(ok) and len(series) > 300 else 1)


main()
