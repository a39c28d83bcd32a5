// Messages cuts what a client sends into messages, wherever TCP has cut it.
//
//	node tcp_server/messages/main.js --framing character
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, framing } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  framing: { type: 'string', default: 'line' }
} }).values
if (!['line', 'length', 'character'].includes(framing)) {
  console.error(`messages: want a --framing line, length or character, not ${framing}`)
  process.exit(1)
}
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

const server = net.createServer(serve)
server.on('error', (err) => {
  console.error(`messages: ${err.message}`)
  process.exitCode = 1
})
server.listen(port, host, () => console.log('listening on', at(server.address())))

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close()
    console.log('closed')
    process.exit() // connections still open would keep it alive
  })
}

const most = 1024 // bytes that a message may take, lest one client fill our memory

function serve (socket) {
  const peer = at({ address: socket.remoteAddress, port: socket.remotePort })
  let n = 0
  const show = (text) => console.log(`${peer} message ${++n}: ${JSON.stringify([...text].slice(0, 64).join(''))}`)
  if (framing === 'character') characters(socket, show)
  else messages(socket, framing === 'line' ? line : length, show)
  socket.on('error', (err) => console.error(`messages: message ${n + 1} of ${peer}: ${err.message}`))
  socket.on('close', () => console.log(`${peer} closed after ${n} messages`))
}

function characters (socket, show) {
  // From now on 'data' brings text instead of bytes. What is no whole character yet
  // waits for the rest of it. data.toString() would make U+FFFD of both parts.
  socket.setEncoding('utf8')
  socket.on('data', (text) => {
    for (const character of text) show(character) // text[i] would be a UTF-16 unit
  })
}

function messages (socket, next, show) {
  let rest = Buffer.alloc(0) // has come, and is not shown yet
  socket.on('data', (chunk) => {
    rest = Buffer.concat([rest, chunk])
    for (let found; (found = next(rest.subarray(0, most)));) {
      show(found.message.toString())
      rest = rest.subarray(found.n)
    }
    if (rest.length >= most) socket.destroy(new Error(`more than ${most} bytes`))
  })
  socket.on('end', () => { // within a message: so that is none
    if (rest.length > 0) socket.destroy(new Error('unexpected EOF'))
  })
}

// line finds the first message in data: how many bytes it takes, and which they are.
function line (data) {
  const end = data.indexOf('\n')
  return end < 0 ? null : { n: end + 1, message: data.subarray(0, data[end - 1] === 13 ? end - 1 : end) }
}

// length finds it in four bytes in front. It counts bytes: setEncoding would be wrong here.
function length (data) {
  const n = data.length < 4 ? Infinity : 4 + data.readUInt32BE()
  return data.length < n ? null : { n, message: data.subarray(4, n) }
}

function at ({ address, port }) {
  return /:/.test(address) ? `[${address}]:${port}` : `${address}:${port}`
}
