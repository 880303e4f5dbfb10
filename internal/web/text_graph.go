package web

func graphText() map[string]string {
	return map[string]string{
		"graph": "Graph of the steps", "graph.title": "Steps after each other", "graph.note": "%s steps, %s", "graph.note.one": "1 step, %s", "graph.waits": "until it comes", "graph.more": "%d more stretches",
		"graph.in": "Larger", "graph.out": "Smaller", "graph.fit": "Fit", "graph.keys": "Drag to move; with the keyboard + − 0 and the arrows.",
	}
}
