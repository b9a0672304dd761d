"""Write and execute the lesson as a notebook in each language: ``make notebooks``.

The cells stand here once: texts in both languages, code shared. So the two notebooks cannot drift, and what they show
is what the machine that executed them gave. Needs ``pip install -e '.[notebooks]'``.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["CELLS", "LANGUAGES", "source_of"]

LANGUAGES = ("en", "zh")

CELLS: tuple[dict[str, str], ...] = (
    {
        "en": """# Where does the time go?
A network of 4-10-3 units learns iris for 20,000 epochs. The homework asks why recording the loss more or less often
changes the duration in no clear way. **Predict first, then measure.** Every figure below was measured when this
notebook was executed; on your machine they differ.""",
        "zh": """# 时间花在哪里？
一个 4-10-3 的网络用鸢尾花数据训练 20,000 轮。作业问：记录损失的次数变多或变少，为什么总时长没有明显的规律？
**先预测，再测量。** 下面的数字都是执行本笔记本时实测的；在你的机器上会不同。""",
    },
    {
        "en": "## 1. Your predictions\nWrite down what you believe before you run anything else.",
        "zh": "## 1. 你的预测\n运行后面的内容之前，先写下你的判断。",
    },
    {
        "code": """predictions = {
    "a step in eager torch, us": 10,
    "its arithmetic alone, us": 5,
    "recording one loss, % of a step": 20,
    "speed-up of machine code, times": 3,
}"""
    },
    {
        "en": "## 2. The loop that every course teaches\nThe lesson's rows, scaled by those that are trained on.",
        "zh": "## 2. 每门课都会教的循环\n课程的数据：120 行用于训练，按训练行缩放到 0 到 1。",
    },
    {
        "code": """import time

import torch

import hotloop
from hotloop.insight.loop import loop_of_table

hotloop.language.use("{language}")
lesson = loop_of_table("iris")
X, y = torch.as_tensor(lesson.X), torch.as_tensor(lesson.y)
X.shape, y.shape"""
    },
    {
        "code": """def new():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 10), torch.nn.ReLU(), torch.nn.Linear(10, 3))
    return model, torch.optim.SGD(model.parameters(), lr=0.01)


model, optimizer = new()
criterion, losses = torch.nn.CrossEntropyLoss(), []
start = time.perf_counter()
for epoch in range(2_000):
    loss = criterion(model(X), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
seconds = time.perf_counter() - start
f"{losses[999]:.6f} at epoch 1,000; {seconds / 2_000 * 1e6:.0f} us a step\""""
    },
    {
        "en": "## 3. The same network, all 20,000 epochs, as one function of machine code",
        "zh": "## 3. 同一个网络，全部 20,000 轮，编译成一个机器码函数",
    },
    {
        "code": """model, optimizer = new()
run = hotloop.fit(model, X, y, loss=criterion, optimizer=optimizer, epochs=20_000)
print(run)
print(f"{run.losses[999]:.6f} at epoch 1,000: the loop by hand gave {losses[999]:.6f}")"""
    },
    {"code": """run"""},
    {
        "en": """## 4. Where does a step's time go?
`explain` forecasts every engine, then measures: the ledger of a step, what each convenience costs, and the floor that
arithmetic sets on this machine.""",
        "zh": """## 4. 一步的时间花在哪里？
`explain` 先预测每个引擎，再实测：一步的账本、每种便利的代价，以及算术在这台机器上决定的下限。""",
    },
    {
        "code": """model, optimizer = new()
answer = hotloop.explain(model, X, y, loss=criterion, optimizer=optimizer, epochs=20_000, budget_s=15)
answer"""
    },
    {
        "en": "## 5. Your predictions, looked at again",
        "zh": "## 5. 再看你的预测",
    },
    {
        "code": """times = {rung.name: rung.us.value for rung in answer.ladder.rungs}
lines = {line.name: line for line in answer.ledger.lines}
measured = {
    "a step in eager torch, us": answer.ledger.wall_us.value,
    "its arithmetic alone, us": answer.floor.us,
    "recording one loss, % of a step": 100 * lines["record"].share,
    "speed-up of machine code, times": times["eager"] / times["native"],
}
for name, value in predictions.items():
    print(f"{name:35} predicted {value:8.3g}   measured {measured[name]:8.3g}")"""
    },
    {
        "en": """## 6. The homework: does recording cost time?
Levels of 0 to 16 records a step make a tiny cost visible; the base is also measured against itself. The lesson offers
four explanations. Each gets a verdict of its own; where the machine was too restless, it says so.""",
        "zh": """## 6. 作业：记录损失花时间吗？
每步记录 0 到 16 次，让极小的代价显现出来；基准还与自己比较。课程给出了四种解释，每一种都有自己的结论；
机器太不安静时，它会直说。""",
    },
    {
        "code": """from hotloop.insight.claims.court import judge_claim

print(judge_claim("recording", "iris", budget_s=30))"""
    },
    {
        "en": """## 7. What does `model(x)` do?
A hook on the model itself is what `model.forward(x)` leaves out; the layers inside are still called.""",
        "zh": """## 7. `model(x)` 做了什么？
模型自身的钩子正是 `model.forward(x)` 会漏掉的；里面的各层仍然会被调用。""",
    },
    {
        "code": """model, optimizer = new()


def look(module, inputs, output):
    return None


model.register_forward_hook(look)
print(hotloop.trace_call(model, X[:8]))"""
    },
    {
        "en": """## 8. Gradients while it trains
A monitor is built on real hooks, so training runs eagerly, and `run.why` says so.""",
        "zh": """## 8. 训练中的梯度
监视器建立在真正的钩子上，因此训练以 eager 方式进行，`run.why` 会说明这一点。""",
    },
    {
        "code": """model, optimizer = new()
watch = hotloop.monitor(model, every=100)
run = hotloop.fit(model, X, y, loss=criterion, optimizer=optimizer, epochs=500, callbacks=[watch])
print(run.why)
print(watch)
watch.remove()"""
    },
    {
        "en": """## What to take home
Compare the ledger with the floor: nearly all of an eager step is telling torch what to do. A record is a small cost;
the durations of two single runs differ by more. So look at intervals, never at two numbers.""",
        "zh": """## 结论
把账本与下限相比：eager 模式的一步，几乎全部时间都用来告诉 torch 做什么。一次记录的代价很小；
两次单独运行的差别比它更大。所以要看区间，不要只看两个数字。""",
    },
)


def source_of(cell: dict[str, str], language: str) -> str:
    """Return what stands in a cell of the notebook in this language."""
    return cell["code"].replace("{language}", language) if "code" in cell else cell[language]


def main() -> None:
    """Execute both notebooks and write them beside this file."""
    import nbformat
    from nbclient import NotebookClient

    for language in LANGUAGES:
        cells = []
        for number, cell in enumerate(CELLS):
            build = nbformat.v4.new_code_cell if "code" in cell else nbformat.v4.new_markdown_cell
            cells.append(build(source_of(cell, language), id=f"cell-{number}"))
        notebook = nbformat.v4.new_notebook(cells=cells)
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        NotebookClient(notebook, timeout=300, record_timing=False).execute()
        nbformat.write(notebook, Path(__file__).with_name(f"lesson.{language}.ipynb"))
        print(f"lesson.{language}.ipynb")


if __name__ == "__main__":
    main()
