-- The words of tasks, by which tasks and their runs are found. They follow from
-- tasks.data: what reads words out of a text fills in those of earlier tasks.
CREATE TABLE task_words (
    number    INTEGER PRIMARY KEY,
    workspace TEXT NOT NULL,
    task      TEXT NOT NULL,
    words     TEXT NOT NULL  -- each once and between spaces, the first being a mark of the workspace
);
CREATE UNIQUE INDEX task_words_task ON task_words (task);

CREATE VIRTUAL TABLE task_index USING fts5 (
    words, content = 'task_words', content_rowid = 'number',
    detail = none, columnsize = 0, prefix = '1 2 3', tokenize = "ascii tokenchars '_'"
);

CREATE TRIGGER task_words_added AFTER INSERT ON task_words BEGIN
    INSERT INTO task_index (rowid, words) VALUES (new.number, new.words);
END;
CREATE TRIGGER task_words_removed AFTER DELETE ON task_words BEGIN
    INSERT INTO task_index (task_index, rowid, words) VALUES ('delete', old.number, old.words);
END;
